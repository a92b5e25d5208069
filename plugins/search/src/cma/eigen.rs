//! Eigenvalues and eigenvectors of a symmetric matrix.
//!
//! Householder's reflections make it tridiagonal, implicit QL steps make that diagonal. Written
//! out, because the order of every sum must be the same on every machine.
//!
//! # Source
//! Golub and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3

/// The eigenvalues of `matrix`, (n, n); row k of `vectors` becomes the vector of value k.
pub(super) fn decompose(matrix: &[f64], n: usize, vectors: &mut Vec<f64>) -> Vec<f64> {
    let mut reduced = matrix.to_vec();
    let (mut diagonal, mut beside) = (vec![0.0; n], vec![0.0; n]);
    let reflections = reduce(&mut reduced, n, &mut beside);
    for (at, value) in diagonal.iter_mut().enumerate() {
        *value = reduced[at * n + at];
    }
    vectors.clear();
    vectors.resize(n * n, 0.0);
    (0..n).for_each(|at| vectors[at * n + at] = 1.0);
    for (from, reflection) in reflections.iter().enumerate().rev() {
        reflect_columns(vectors, n, from + 1, reflection);
    }
    solve(&mut diagonal, &mut beside, vectors, n);
    diagonal
}

/// I - factor v vᵀ, over the coordinates from some number on.
struct Reflection {
    v: Vec<f64>,
    factor: f64,
}

/// Makes the matrix tridiagonal; what is beside the diagonal goes to `beside`.
fn reduce(a: &mut [f64], n: usize, beside: &mut [f64]) -> Vec<Reflection> {
    let mut reflections = Vec::new();
    for at in 0..n.saturating_sub(1) {
        let mut v: Vec<f64> = (at + 1..n).map(|line| a[line * n + at]).collect();
        let length = dot(&v, &v).sqrt();
        let end = if v[0] > 0.0 { -length } else { length };
        // The last column has one entry: nothing to be reflected.
        if v.len() == 1 || length == 0.0 {
            beside[at] = v[0];
            reflections.push(Reflection { factor: 0.0, v });
            continue;
        }
        beside[at] = end;
        v[0] -= end;
        let factor = 2.0 / dot(&v, &v);
        let size = v.len();
        let line = |number: usize| (at + 1 + number) * n + at + 1;
        let mut p: Vec<f64> = (0..size)
            .map(|number| factor * dot(&a[line(number)..][..size], &v))
            .collect();
        let half = 0.5 * factor * dot(&v, &p);
        p.iter_mut().zip(&v).for_each(|(p, v)| *p -= half * v);
        for number in 0..size {
            let (v_here, p_here) = (v[number], p[number]);
            let entries = a[line(number)..][..size].iter_mut();
            for ((entry, v), p) in entries.zip(&v).zip(&p) {
                *entry -= v_here * p + p_here * v;
            }
        }
        reflections.push(Reflection { v, factor });
    }
    reflections
}

/// Vectors (one a row) times a reflection of the coordinates from `from` on.
///
/// The product of all reflections, applied last first to the identity, is symmetric to what it
/// would be as columns: rows are kept so that rotations touch adjacent memory.
fn reflect_columns(vectors: &mut [f64], n: usize, from: usize, reflection: &Reflection) {
    let Reflection { v, factor } = reflection;
    if *factor == 0.0 {
        return;
    }
    for line in vectors.chunks_exact_mut(n).skip(from) {
        let part = &mut line[from..];
        let along = factor * dot(part, v);
        part.iter_mut()
            .zip(v)
            .for_each(|(entry, v)| *entry -= along * v);
    }
}

/// Implicit QL steps until nothing is beside the diagonal; the rows turn with them.
fn solve(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], n: usize) {
    for low in 0..n {
        // 60 is twice what is ever needed; a matrix with a NaN must not loop for ever.
        for _ in 0..60 {
            let small = |at: usize| e[at].abs() <= f64::EPSILON * (d[at].abs() + d[at + 1].abs());
            let high = (low..n - 1).find(|&at| small(at)).unwrap_or(n - 1);
            if high == low {
                break;
            }
            step(d, e, vectors, n, (low, high));
        }
    }
}

/// One QL step between `low` and `high`.
fn step(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], n: usize, (low, high): (usize, usize)) {
    let ratio = (d[low + 1] - d[low]) / (2.0 * e[low]);
    let root = (ratio * ratio + 1.0).sqrt().copysign(ratio);
    let mut g = d[high] - d[low] + e[low] / (ratio + root);
    let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
    for at in (low..high).rev() {
        let (f, b) = (sine * e[at], cosine * e[at]);
        let length = (f * f + g * g).sqrt();
        e[at + 1] = length;
        if length == 0.0 {
            d[at + 1] -= moved;
            e[high] = 0.0;
            return;
        }
        (sine, cosine) = (f / length, g / length);
        g = d[at + 1] - moved;
        let turn = (d[at] - g) * sine + 2.0 * cosine * b;
        moved = sine * turn;
        d[at + 1] = g + moved;
        g = cosine * turn - b;
        rotate(vectors, n, at, (sine, cosine));
    }
    d[low] -= moved;
    e[low] = g;
    e[high] = 0.0;
}

/// Turns row `at` and the next.
fn rotate(vectors: &mut [f64], n: usize, at: usize, (sine, cosine): (f64, f64)) {
    let (first, second) = vectors[at * n..(at + 2) * n].split_at_mut(n);
    for (first, second) in first.iter_mut().zip(second) {
        let (a, b) = (*first, *second);
        *second = sine * a + cosine * b;
        *first = cosine * a - sine * b;
    }
}

/// In four sums, whose order is fixed.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let fours = a.len() / 4 * 4;
    for (a, b) in a[..fours].chunks_exact(4).zip(b[..fours].chunks_exact(4)) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a[fours..].iter().zip(&b[fours..]).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;
    use crate::Random;

    /// The largest entry of A - Σ value v vᵀ and of V Vᵀ - I.
    fn errors(matrix: &[f64], n: usize) -> (f64, f64) {
        let mut vectors = Vec::new();
        let values = decompose(matrix, n, &mut vectors);
        let (mut apart, mut crooked) = (0.0_f64, 0.0_f64);
        for i in 0..n {
            for j in 0..n {
                let entry: f64 = (0..n)
                    .map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j])
                    .sum();
                apart = apart.max((entry - matrix[i * n + j]).abs());
                let product = dot(&vectors[i * n..][..n], &vectors[j * n..][..n]);
                crooked = crooked.max((product - f64::from(u8::from(i == j))).abs());
            }
        }
        (apart, crooked)
    }

    #[test]
    fn values_and_vectors_give_the_matrix_again() {
        for n in [1, 2, 3, 7, 40] {
            let mut random = Random::new(n as u64, 0, 0, Purpose::Move);
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let value = random.gaussian();
                    (matrix[i * n + j], matrix[j * n + i]) = (value, value);
                }
            }
            let (apart, crooked) = errors(&matrix, n);
            assert!(
                apart < 1e-12 * n as f64 && crooked < 1e-13 * n as f64,
                "{n}: {apart} {crooked}"
            );
        }
    }

    #[test]
    fn matrices_with_nothing_to_do_are_done() {
        let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(errors(&identity, 3), (0.0, 0.0));
        assert_eq!(errors(&[0.0; 9], 3), (0.0, 0.0));
    }
}
