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

fn start(folder: &std::path::Path, minutes: f32, from: u64) -> Trainer {
    let schedule = Schedule {
        learning_rate: 1e-2,
        checkpoint_minutes: minutes,
        threads: 1,
        ..Schedule::default()
    };
    Trainer::start(schedule, shape(), || Ok(vectors(&shape())), folder, from).unwrap()
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
fn every_batch_of_a_time_is_learnt_once() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut whole = start(folder.path(), 1e9, 0);
    for first in [1, 3, 4] {
        assert_eq!(take(&mut whole, 7, &train(0, first)), ["step"]);
    }
    assert_eq!(whole.state.step, 3);
    // Saved after the second, so that the first two come again.
    let mut cut = start(folder.path(), 0.0, 0);
    take(&mut cut, 7, &train(0, 1));
    take(&mut cut, 7, &train(0, 3));
    let mut resumed = start(folder.path(), 1e9, 7);
    for first in [1, 3, 4] {
        assert_eq!(take(&mut resumed, 7, &train(0, first)), ["step"]);
    }
    assert_eq!(resumed.state.step, 3);
    assert!(resumed.vectors == whole.vectors, "the weights are others");
    let steps = |trainer: &Trainer| -> Vec<_> {
        trainer
            .state
            .log
            .iter()
            .map(|entry| (entry.step, entry.loss))
            .collect()
    };
    assert_eq!(steps(&resumed), steps(&whole));
}

#[test]
fn an_epoch_ends_with_the_first_batch_of_the_next() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut trainer = start(folder.path(), 1e9, 0);
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
    let folder = tempfile::TempDir::new().unwrap();
    let apart = examples(Use::Validate, None, 4);
    let mut trainer = start(folder.path(), 0.0, 0);
    assert!(take(&mut trainer, 0, &apart).is_empty());
    assert_eq!(take(&mut trainer, 0, &train(0, 1)), ["step"]);
    assert_eq!(take(&mut trainer, 1, &train(1, 1)), ["validation", "step"]);
    // The file has been read by now, so it must be in the checkpoint.
    let mut resumed = start(folder.path(), 1e9, 2);
    let mut ends = Vec::new();
    for trainer in [&mut trainer, &mut resumed] {
        assert_eq!(take(trainer, 2, &train(2, 1)), ["validation", "step"]);
        let mut host = Host::silent();
        trainer.finish(&mut host).unwrap();
        assert_eq!(events(host), ["validation", "end"]);
        ends.push(trainer.state.log.clone());
    }
    assert_eq!(ends[0], ends[1]);
    let looked = ends[0].iter().filter(|entry| entry.event == "validation");
    assert_eq!(looked.clone().count(), 3);
    assert!(looked.into_iter().all(|entry| entry.accuracy.is_some()));
}

#[test]
fn what_is_not_finite_is_not_saved() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut trainer = start(folder.path(), 0.0, 0);
    let batch = train(0, 1);
    let error = trainer
        .take(0, &batch, &Steep, &mut Host::silent())
        .unwrap_err();
    assert_eq!(error.code, "diverged");
    assert!(
        error.message.contains("gradient is not finite at step 1"),
        "{error}"
    );
    assert!(!folder.path().join("checkpoint.safetensors").exists());

    let mut trainer = start(folder.path(), 0.0, 0);
    trainer.vectors[0][3] = f32::INFINITY;
    let held_out = examples(Use::Validate, None, 1);
    let goal = Classes(&held_out);
    let error = trainer
        .take(0, &held_out, &goal, &mut Host::silent())
        .unwrap_err();
    assert_eq!(error.code, "diverged");
    assert!(!folder.path().join("checkpoint.safetensors").exists());
    let mut host = Host::silent();
    trainer.state.last = Some((0, 1));
    trainer.held_out = HeldOut::default();
    assert_eq!(trainer.finish(&mut host).unwrap_err().code, "diverged");

    let damaged = || {
        let mut vectors = vectors(&shape());
        vectors[2][0] = f32::NAN;
        Ok(vectors)
    };
    let begun = Trainer::start(Schedule::default(), shape(), damaged, folder.path(), 0);
    assert_eq!(begun.err().unwrap().code, "not-finite");
}
