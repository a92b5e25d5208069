use segue_plugin::arrow_array::StringArray;
use segue_plugin::arrow_array::cast::AsArray;

use super::*;
use crate::model::tests::{shape, vectors};

/// Learns the classes.
struct Classes<'a>(&'a Examples);

impl Goal for Classes<'_> {
    fn loss(&self, output: &Output) -> Result<Tensor> {
        class_loss(output, self.0, 2)
    }
}

/// A loss of 0 whose gradient is not finite.
struct Steep;

impl Goal for Steep {
    fn loss(&self, output: &Output) -> Result<Tensor> {
        let sum = output.logits.sum_all().map_err(internal)?;
        let zero = || sum.affine(1e-30, 0.0)?.sqr()?.sqrt();
        zero().map_err(internal)
    }
}

fn examples(used_for: Use, epoch: Option<u32>, first: u32) -> Examples {
    let rows = [&[first, 5, 2][..], &[8, 0, first]];
    Examples {
        tokens: Tokens::new(rows.into_iter()),
        classes: vec![Some(0), Some(1)],
        used_for,
        epoch,
        progress: 0.3,
    }
}

fn train(epoch: u32, first: u32) -> Examples {
    examples(Use::Train, Some(epoch), first)
}

fn start() -> Trainer {
    let folder = tempfile::TempDir::new().unwrap();
    let schedule = Schedule {
        learning_rate: 1e-2,
        threads: 1,
        ..Schedule::default()
    };
    Trainer::start(schedule, shape(), vectors(&shape()), folder.path()).unwrap()
}

/// One that goes on from where `trainer` is.
fn resumed(trainer: &Trainer) -> Trainer {
    let mut resumed = start();
    resumed.restore(&trainer.snapshot().unwrap()).unwrap();
    resumed
}

/// Takes a batch; gives the events of the rows that come of it.
fn take(trainer: &mut Trainer, time: u64, examples: &Examples) -> Vec<String> {
    let mut host = Host::silent();
    let goal = Classes(examples);
    trainer.take(time, examples, &goal, &mut host).unwrap();
    events(host)
}

fn events(host: Host<'_>) -> Vec<String> {
    let events = |batch: segue_plugin::Batch| -> Vec<String> {
        let column: &StringArray = batch.column("event").unwrap().as_string();
        column
            .iter()
            .map(|event| event.unwrap().to_owned())
            .collect()
    };
    host.into_batches().into_iter().flat_map(events).collect()
}

#[test]
fn it_goes_on_from_its_state() {
    let mut whole = start();
    for first in [1, 3, 4] {
        assert_eq!(take(&mut whole, 7, &train(0, first)), ["step"]);
    }
    assert_eq!(whole.state.step, 3);
    let mut cut = start();
    take(&mut cut, 7, &train(0, 1));
    take(&mut cut, 7, &train(0, 3));
    let mut resumed = resumed(&cut);
    assert_eq!(take(&mut resumed, 7, &train(0, 4)), ["step"]);
    assert_eq!(resumed.state, whole.state);
    assert!(resumed.vectors == whole.vectors, "the weights are others");
    assert!(resumed.snapshot().unwrap() == whole.snapshot().unwrap());
}

#[test]
fn a_state_of_another_model_is_refused() {
    let other = ModelShape {
        words: 10,
        ..shape()
    };
    let folder = tempfile::TempDir::new().unwrap();
    let made = vectors(&other);
    let mut other = Trainer::start(Schedule::default(), other, made, folder.path()).unwrap();
    let state = start().snapshot().unwrap();
    assert_eq!(other.restore(&state).unwrap_err().code, "no-state");
    assert_eq!(other.restore(&state[..99]).unwrap_err().code, "no-state");
}

#[test]
fn an_epoch_ends_with_the_first_batch_of_the_next() {
    let mut trainer = start();
    let held_out = |epoch| examples(Use::Validate, Some(epoch), 4);
    assert_eq!(take(&mut trainer, 0, &train(0, 1)), ["step"]);
    assert!(take(&mut trainer, 0, &held_out(0)).is_empty());
    // A slower source is still in the epoch.
    assert_eq!(take(&mut trainer, 1, &train(0, 3)), ["step"]);
    assert!(take(&mut trainer, 1, &held_out(0)).is_empty());
    assert_eq!(take(&mut trainer, 2, &train(1, 1)), ["validation", "step"]);
    assert_eq!(take(&mut trainer, 2, &train(0, 3)), ["step"]);
    assert!(take(&mut trainer, 3, &held_out(1)).is_empty());
    let mut host = Host::silent();
    trainer.finish(&mut host).unwrap();
    assert_eq!(events(host), ["validation", "end"]);
    assert_eq!(trainer.state.step, 4);
}

#[test]
fn what_is_held_out_in_a_file_of_its_own_is_looked_at_after_every_epoch() {
    let apart = examples(Use::Validate, None, 4);
    let mut trainer = start();
    assert!(take(&mut trainer, 0, &apart).is_empty());
    assert_eq!(take(&mut trainer, 0, &train(0, 1)), ["step"]);
    assert_eq!(take(&mut trainer, 1, &train(1, 1)), ["validation", "step"]);
    // The file has been read by now, so it must be in the state.
    let mut resumed = resumed(&trainer);
    for trainer in [&mut trainer, &mut resumed] {
        assert_eq!(take(trainer, 2, &train(2, 1)), ["validation", "step"]);
        let mut host = Host::silent();
        trainer.finish(&mut host).unwrap();
        assert_eq!(events(host), ["validation", "end"]);
    }
    assert!(trainer.state.best.quality().is_some());
    assert!(trainer.snapshot().unwrap() == resumed.snapshot().unwrap());
}

#[test]
fn what_is_not_finite_is_not_saved() {
    let mut trainer = start();
    let batch = train(0, 1);
    let error = trainer
        .take(0, &batch, &Steep, &mut Host::silent())
        .unwrap_err();
    assert_eq!(error.code, "diverged");
    assert!(
        error.message.contains("gradient is not finite at step 1"),
        "{error}"
    );

    let mut trainer = start();
    trainer.vectors[0][3] = f32::INFINITY;
    assert_eq!(trainer.snapshot().unwrap_err().code, "diverged");
    trainer.state.began = true;
    let error = trainer.finish(&mut Host::silent()).unwrap_err();
    assert_eq!(error.code, "diverged");

    let mut damaged = vectors(&shape());
    damaged[2][0] = f32::NAN;
    let folder = tempfile::TempDir::new().unwrap();
    let begun = Trainer::start(Schedule::default(), shape(), damaged, folder.path());
    assert_eq!(begun.err().unwrap().code, "not-finite");
}

#[test]
fn what_lies_deep_changes_less() {
    let schedule = |layer_decay| Schedule {
        learning_rate: 1e-2,
        warm_up: 0.0,
        weight_decay: 0.0,
        threads: 1,
        layer_decay,
        ..Schedule::default()
    };
    let moved = |layer_decay| -> Vec<f32> {
        let before = vectors(&shape());
        let mut trainer = Trainer::new(schedule(layer_decay), shape(), before.clone()).unwrap();
        let examples = train(0, 4);
        trainer.learn(&examples, &Classes(&examples)).unwrap();
        let far = |(a, b): (&Vec<f32>, &Vec<f32>)| {
            let steps = a.iter().zip(b).map(|(a, b)| (a - b).abs());
            steps.fold(0.0, f32::max)
        };
        trainer
            .vectors()
            .unwrap()
            .iter()
            .zip(&before)
            .map(far)
            .collect()
    };
    let (even, decayed) = (moved(1.0), moved(0.5));
    // Embeddings, norm, two layers, pooler, classifier.
    for (at, depth) in [3, 3, 3, 3, 2, 1, 0, 0].into_iter().enumerate() {
        let share = decayed[at] / even[at];
        assert!((share - 0.5_f32.powi(depth)).abs() < 1e-3, "{at}: {share}");
    }
}
