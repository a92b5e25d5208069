//! A search, whole: an algorithm over a space, with its goal, its memory and its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::algorithm::{Algorithm, State};
use crate::cache::Cache;
use crate::error::{Error, Result, demand};
use crate::history::{Statistics, diversity};
use crate::pareto::{Front, Point};
use crate::setup::{Best, Candidate, Score, Setup, Stop};
use crate::{Answers, Generation, Quality, Scope, Start, Task};
use segue_candidates::digest::Digest;

/// What is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Saved {
    algorithm: State,
    cache: Cache,
    front: Front,
    best: Option<Best>,
    evaluations: u64,
    effort: f64,
    generations: u64,
    /// Generations since there was a better one; the rungs of a ladder count as one.
    stalled: u64,
    /// Generations in a row without a candidate that was new.
    idle: u64,
}

/// A search.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    setup: Setup,
    saved: Saved,
}

/// Points that are kept of a front.
const FRONT: usize = 256;
/// So many generations without a new candidate are a stand.
const IDLE: u64 = 100;
/// The first bytes of a saved search; the last of them is the version of all that follows.
const MAGIC: &[u8; 8] = b"sgsrch\0\x02";

impl Search {
    /// A search at its start.
    ///
    /// # Errors
    /// An option, a space or a goal that cannot be.
    pub fn new(setup: Setup) -> Result<Self> {
        setup.space.check()?;
        setup.goal.check()?;
        let dimensions = setup.space.dimensions();
        if let Start::Around { at, spread } = &setup.start {
            demand(
                at.len() == dimensions,
                "start",
                at.len(),
                "a number a coordinate",
            )?;
            let inside = at.iter().all(|x| (0.0..=1.0).contains(x));
            demand(inside, "start", "outside", "a point of the box")?;
            let spread = spread.unwrap_or(1.0);
            demand(
                spread > 0.0 && spread <= 2.0,
                "spread",
                spread,
                "more than 0 and at most 2",
            )?;
        }
        let scope = Scope {
            seed: setup.seed,
            dimensions,
            start: setup.start.clone(),
        };
        let saved = Saved {
            algorithm: setup.method.start(scope)?,
            cache: Cache::new(setup.cache),
            front: Front::new(FRONT),
            best: None,
            evaluations: 0,
            effort: 0.0,
            generations: 0,
            stalled: 0,
            idle: 0,
        };
        Ok(Self { setup, saved })
    }

    /// What it was told before it began.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The whole generation, with what is known already.
    pub fn generation(&self) -> &Generation {
        self.saved.algorithm.ask()
    }

    /// What is to be scored, in order of number. May be empty, where all are known: then it is
    /// told nothing, and goes on.
    pub fn ask(&self) -> Vec<Candidate<'_>> {
        let generation = self.generation();
        let (asked, _) = self.split();
        let candidate = |number: usize| Candidate {
            number,
            position: generation.position(number),
            task: generation.task(number),
        };
        asked.into_iter().map(candidate).collect()
    }

    /// Takes the scores of what was asked, in that order, and makes the next generation.
    ///
    /// # Errors
    /// Scores whose number or shape is wrong; then nothing has changed.
    pub fn tell(&mut self, scores: &[Score]) -> Result<Statistics> {
        let (asked, sources) = self.split();
        self.check(&asked, scores)?;
        let known = |(number, source): (usize, &Source)| match source {
            Source::Asked(place) if asked[*place] == number => scores[*place].clone(),
            Source::Asked(place) => Score {
                improved: None,
                ..scores[*place].clone()
            },
            Source::Known(score) => score.clone(),
        };
        let all: Vec<Score> = sources.iter().enumerate().map(known).collect();
        self.learn(&asked, scores);
        let answers = self.answers(&all);
        let statistics = self.judge(&all, &answers, asked.len());
        self.saved.algorithm.tell(&answers);
        self.saved.generations += 1;
        self.saved.idle = if asked.is_empty() {
            self.saved.idle + 1
        } else {
            0
        };
        Ok(statistics)
    }

    /// The best so far, where anything could be scored.
    pub fn best(&self) -> Option<&Best> {
        self.saved.best.as_ref()
    }

    /// How many candidates were scored so far.
    pub fn evaluations(&self) -> u64 {
        self.saved.evaluations
    }

    /// What no other beats in every objective, of those that break no constraint and were scored
    /// in full. Objectives are signed so that all are minimised.
    pub fn front(&self) -> &[Point] {
        self.saved.front.points()
    }

    /// Whether it has come to its end, or to a stand: for a hundred generations it has had no
    /// candidate that was new. Candidates that were begun with are scored in full first.
    pub fn is_done(&self) -> bool {
        let (stop, saved) = (&self.setup.stop, &self.saved);
        let reached = |limit: Option<u64>, count: u64| limit.is_some_and(|limit| count >= limit);
        let target = stop.target.is_some_and(|target| {
            let target = self.setup.goal.minimized(target);
            self.verdict().is_some_and(|best| best.fitness <= target)
        });
        let over = target
            || saved.idle >= IDLE
            || reached(stop.generations, saved.generations)
            || reached(stop.evaluations, saved.evaluations)
            || reached(stop.patience, saved.stalled);
        over && !saved.algorithm.is_midway()
    }

    /// The whole state.
    ///
    /// # Errors
    /// None that is known.
    pub fn save(&self) -> Result<Vec<u8>> {
        let mut bytes = MAGIC.to_vec();
        let wrong = |error: postcard::Error| Error::Saved(error.to_string());
        bytes.extend(postcard::to_stdvec(&self.fingerprint()?).map_err(wrong)?);
        bytes.extend(postcard::to_stdvec(&self.saved).map_err(wrong)?);
        Ok(bytes)
    }

    /// What [`Self::save`] gave, under the same setup but for [`Setup::stop`]: it goes on as if it
    /// had never been away.
    ///
    /// # Errors
    /// Bytes of another version or another setup, or damaged ones.
    pub fn restore(setup: Setup, bytes: &[u8]) -> Result<Self> {
        let fresh = Self::new(setup)?;
        let wrong = |text: String| Error::Saved(text);
        let body = bytes.strip_prefix(MAGIC);
        let body = body.ok_or_else(|| wrong("it is of another version".into()))?;
        let (fingerprint, body): (Digest, _) =
            postcard::take_from_bytes(body).map_err(|error| wrong(error.to_string()))?;
        if fingerprint != fresh.fingerprint()? {
            return Err(wrong(
                "it was made with other options, or another space or seed".into(),
            ));
        }
        let saved = postcard::from_bytes(body).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            setup: fresh.setup,
            saved,
        })
    }

    fn fingerprint(&self) -> Result<Digest> {
        let setup = Setup {
            stop: Stop::default(),
            ..self.setup.clone()
        };
        let bytes = postcard::to_stdvec(&setup).map_err(|error| Error::Saved(error.to_string()))?;
        let mut digest = Digest::default();
        digest.bytes(&bytes);
        Ok(digest)
    }

    /// Who has to be scored, and where each candidate's score comes from.
    fn split(&self) -> (Vec<usize>, Vec<Source>) {
        let (generation, cache) = (self.generation(), &self.saved.cache);
        let (mut asked, mut twins) = (Vec::new(), BTreeMap::new());
        let source = |number: usize| {
            let position = generation.position(number);
            let key = cache.key(&self.setup.space, position, generation.task(number));
            if let Some(score) = key.as_ref().and_then(|key| cache.get(key)) {
                return Source::Known(score.clone());
            }
            if let Some(place) = key.as_ref().and_then(|key| twins.get(key)) {
                return Source::Asked(*place);
            }
            asked.push(number);
            let place = asked.len() - 1;
            key.map(|key| twins.insert(key, place));
            Source::Asked(place)
        };
        let sources = (0..generation.len()).map(source).collect();
        (asked, sources)
    }

    fn check(&self, asked: &[usize], scores: &[Score]) -> Result<()> {
        if scores.len() != asked.len() {
            return Err(Error::Answers {
                answers: scores.len(),
                candidates: asked.len(),
            });
        }
        let (objectives, width) = (self.setup.goal.count(), self.setup.space.dimensions());
        for (&candidate, score) in asked.iter().zip(scores) {
            let shape = |what, got, want| {
                if got == want {
                    Ok(())
                } else {
                    Err(Error::Shape {
                        candidate,
                        what,
                        got,
                        want,
                    })
                }
            };
            shape("objectives", score.objectives.len(), objectives)?;
            let improved = score.improved.as_ref().map_or(width, Vec::len);
            shape("coordinates", improved, width)?;
        }
        Ok(())
    }

    /// Remembers what was scored.
    fn learn(&mut self, asked: &[usize], scores: &[Score]) {
        let generation = self.saved.algorithm.ask();
        for (&number, score) in asked.iter().zip(scores) {
            let task = generation.task(number);
            self.saved.effort += match task {
                Task::Score { effort } => effort,
                Task::Adam { steps, .. } => 1.0 + f64::from(steps),
            };
            let position = generation.position(number);
            if let Some(key) = self.saved.cache.key(&self.setup.space, position, task) {
                self.saved.cache.insert(key, score.clone());
            }
        }
        self.saved.evaluations += asked.len() as u64;
    }

    /// What the algorithm is told. A place that is not finite, where Adam's steps led, is none.
    fn answers(&self, scores: &[Score]) -> Answers {
        let generation = self.generation();
        let mut answers = Answers::default();
        for (number, score) in scores.iter().enumerate() {
            let mut quality = self.setup.goal.quality(&score.objectives, score.violation);
            let walked = matches!(generation.task(number), Task::Adam { .. });
            if let Some(position) = score.improved.as_ref().filter(|_| walked) {
                if position.iter().all(|x| x.is_finite()) {
                    let cut = position.iter().map(|x| x.clamp(0.0, 1.0)).collect();
                    answers.improved.push((number, cut));
                } else {
                    quality = Quality::WORST;
                }
            }
            answers.qualities.push(quality);
        }
        answers
    }

    /// Keeps the best and the front, and says how the generation was.
    fn judge(&mut self, scores: &[Score], answers: &Answers, asked: usize) -> Statistics {
        let generation = self.saved.algorithm.ask().clone();
        let whole = |number: usize| !matches!(generation.task(number), Task::Score { effort } if effort < 1.0);
        let place = |number: usize| {
            let moved = answers
                .improved
                .iter()
                .find(|(candidate, _)| *candidate == number);
            moved.map_or_else(
                || generation.position(number).to_vec(),
                |(_, position)| position.clone(),
            )
        };
        if !self.saved.algorithm.is_midway() {
            self.saved.stalled += 1;
        }
        for (number, (score, quality)) in scores.iter().zip(&answers.qualities).enumerate() {
            let quality = if whole(number) {
                *quality
            } else {
                Quality {
                    missing: quality.missing.max(1),
                    ..*quality
                }
            };
            let objectives = &score.objectives;
            if self.beats(&quality) {
                self.saved.stalled = 0;
                self.saved.best = Some(Best {
                    generation: generation.number,
                    candidate: number,
                    position: place(number),
                    quality,
                    objectives: objectives.clone(),
                });
            }
            if quality.is_feasible() && quality.missing == 0 {
                self.saved.front.insert(Point {
                    generation: generation.number,
                    candidate: number,
                    position: place(number),
                    objectives: self.setup.goal.signed(objectives),
                });
            }
        }
        self.statistics(&generation, answers, asked)
    }

    fn statistics(&self, generation: &Generation, answers: &Answers, asked: usize) -> Statistics {
        let qualities = &answers.qualities;
        let feasible: Vec<f64> = qualities
            .iter()
            .filter(|quality| quality.is_feasible())
            .map(|quality| quality.fitness)
            .collect();
        let count = |holds: fn(&Quality) -> bool| {
            qualities.iter().filter(|quality| holds(quality)).count() as u64
        };
        let goal = &self.setup.goal;
        let mean = feasible.iter().sum::<f64>() / feasible.len() as f64;
        Statistics {
            generation: generation.number,
            evaluations: self.saved.evaluations,
            effort: self.saved.effort,
            best: self.verdict().map(|best| goal.shown(best.fitness)),
            mean: (!feasible.is_empty()).then(|| goal.shown(mean)),
            diversity: diversity(generation),
            cached: (generation.len() - asked) as u64,
            infeasible: count(|quality| quality.is_finite() && !quality.is_feasible()),
            not_finite: count(|quality| !quality.is_finite()),
        }
    }

    /// The best's quality, where it breaks no constraint and was scored in full.
    fn verdict(&self) -> Option<Quality> {
        let quality = self.saved.best.as_ref()?.quality;
        (quality.is_feasible() && quality.missing == 0).then_some(quality)
    }

    fn beats(&self, quality: &Quality) -> bool {
        quality.is_finite()
            && self
                .saved
                .best
                .as_ref()
                .is_none_or(|best| quality.beats(&best.quality))
    }
}

/// Where a candidate's score comes from.
enum Source {
    /// From before.
    Known(Score),
    /// The score of that number among those that are asked.
    Asked(usize),
}
