//! Convolution over word vectors and its maximum over the text, as one operation.
//!
//! A filter's value at a place is a sum, over the words of the window, of what the filter
//! makes of each word. So each different word of a batch is multiplied once, however
//! often it occurs, and only the best place of each filter has a gradient: both passes
//! take a small part of the work of a general convolution, and no memory for places.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Device, Error, Layout, Result, Shape, Tensor};
use segue_learn::tensors::{floats, with_floats};

use crate::features::rows::Rows;
use crate::models::sparse::add_scaled;

/// For each text and filter the largest value over all windows of `width` tokens.
///
/// Its arguments are the table, tokens x E, and the filters, (width F) x E: first the F
/// rows for a window's first token, and so on. Out is texts x F.
///
/// # Source
/// Kim, Convolutional neural networks for sentence classification, arXiv:1408.5882
pub struct BestWindows {
    texts: Rows,
    width: usize,
    /// Where the largest value was, texts x F: for the way back.
    places: Mutex<Vec<u32>>,
}

/// Sizes that both arguments agree on.
struct Sizes {
    embedding: usize,
    filters: usize,
}

impl BestWindows {
    /// Of the rows number `texts`, each of at least `width` tokens.
    pub fn new(rows: &Rows, texts: &[usize], width: usize) -> Self {
        let mut own = Rows::new(rows.width());
        for text in texts {
            own.push_tokens(rows.row(*text).ids.iter().copied());
        }
        BestWindows {
            texts: own,
            width,
            places: Mutex::default(),
        }
    }

    fn sizes(&self, table: &[usize], filters: &[usize]) -> Result<Sizes> {
        match (table, filters) {
            ([tokens, e], [rows, of]) if e == of && *tokens == self.texts.width() => Ok(Sizes {
                embedding: *e,
                filters: rows / self.width.max(1),
            }),
            _ => Err(Error::msg(format!(
                "a table of {table:?} and filters of {filters:?}"
            ))),
        }
    }

    /// The different tokens of all texts, and for each token of the table its place among
    /// them.
    fn distinct(&self) -> (Vec<u32>, Vec<u32>) {
        let mut places = vec![u32::MAX; self.texts.width()];
        let mut distinct = Vec::new();
        for token in self.texts.iter().flat_map(|row| row.ids) {
            let place = &mut places[*token as usize];
            if *place == u32::MAX {
                *place = distinct.len() as u32;
                distinct.push(*token);
            }
        }
        (distinct, places)
    }

    /// What each filter row makes of each distinct token: distinct x (width F).
    fn products(
        &self,
        distinct: &[u32],
        table: &[f32],
        filters: &[f32],
        e: usize,
    ) -> Result<Vec<f32>> {
        let mut vectors = Vec::with_capacity(distinct.len() * e);
        for token in distinct {
            vectors.extend_from_slice(&table[*token as usize * e..][..e]);
        }
        let vectors = Tensor::from_vec(vectors, (distinct.len(), e), &Device::Cpu)?;
        let filters = Tensor::from_slice(filters, (filters.len() / e, e), &Device::Cpu)?;
        vectors.matmul(&filters.t()?)?.flatten_all()?.to_vec1()
    }
}

/// Raises `best` to `values` where these are larger, and notes `place` there.
fn raise(best: &mut [f32], places: &mut [u32], values: &[f32], place: u32) {
    for ((best, at), value) in best.iter_mut().zip(places).zip(values) {
        let larger = *value > *best;
        *best = if larger { *value } else { *best };
        *at = if larger { place } else { *at };
    }
}

impl CustomOp2 for BestWindows {
    fn name(&self) -> &'static str {
        "best-windows"
    }

    fn cpu_fwd(
        &self,
        table: &CpuStorage,
        of_table: &Layout,
        filters: &CpuStorage,
        of_filters: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(of_table.dims(), of_filters.dims())?;
        let (table, filters) = (floats(table, of_table)?, floats(filters, of_filters)?);
        let (distinct, index) = self.distinct();
        let products = self.products(&distinct, table, filters, sizes.embedding)?;
        let (f, whole) = (sizes.filters, sizes.filters * self.width);
        let mut best = vec![f32::NEG_INFINITY; self.texts.len() * f];
        let mut places = vec![0; best.len()];
        let mut values = vec![0.0; f];
        for (row, text) in self.texts.iter().enumerate() {
            let range = row * f..(row + 1) * f;
            for (place, window) in text.ids.windows(self.width).enumerate() {
                values.fill(0.0);
                for (i, token) in window.iter().enumerate() {
                    let at = index[*token as usize] as usize * whole + i * f;
                    add_scaled(&mut values, 1.0, &products[at..at + f]);
                }
                raise(
                    &mut best[range.clone()],
                    &mut places[range.clone()],
                    &values,
                    place as u32,
                );
            }
        }
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
        Ok((CpuStorage::F32(best), (self.texts.len(), f).into()))
    }

    fn bwd(
        &self,
        table: &Tensor,
        filters: &Tensor,
        _out: &Tensor,
        slope: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Sizes {
            embedding: e,
            filters: f,
        } = self.sizes(table.dims(), filters.dims())?;
        let mut of_table = vec![0.0; table.elem_count()];
        let mut of_filters = vec![0.0; filters.elem_count()];
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut back = |table: &[f32], filters: &[f32], slope: &[f32]| {
            let all = slope.iter().zip(places.iter()).enumerate();
            for (at, (slope, place)) in all.filter(|(_, (slope, _))| **slope != 0.0) {
                let tokens = &self.texts.row(at / f).ids[*place as usize..];
                for (i, token) in tokens.iter().take(self.width).enumerate() {
                    let (token, filter) = (*token as usize * e, (i * f + at % f) * e);
                    add_scaled(
                        &mut of_table[token..token + e],
                        *slope,
                        &filters[filter..filter + e],
                    );
                    add_scaled(
                        &mut of_filters[filter..filter + e],
                        *slope,
                        &table[token..token + e],
                    );
                }
            }
        };
        let slope = slope.contiguous()?;
        with_floats(table, |table| {
            with_floats(filters, |filters| {
                with_floats(&slope, |slope| back(table, filters, slope))
            })
        })???;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), &Device::Cpu);
        Ok((
            Some(tensor(of_table, table)?),
            Some(tensor(of_filters, filters)?),
        ))
    }
}
