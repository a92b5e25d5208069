//! What holds for every model.

use segue_baselines::features::rows::Examples;
use segue_baselines::models::Model;
use segue_baselines::models::recipe::Recipe;
use segue_baselines::models::trained::Trained;
use segue_baselines::models::training::{Schedule, fit};

use segue_learn::scorer::{measure, predict};

use crate::tiny::{examples, recipes, texts};

fn learned(recipe: &Recipe, train: &Examples) -> Box<dyn Model> {
    let mut model = recipe.model(train.rows.width()).unwrap();
    let none = Examples::default();
    fit(model.as_mut(), train, &none, recipe.schedule, |_| ()).unwrap();
    model
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn each_learns_what_can_be_learned() {
    for recipe in recipes() {
        let (_, _, train) = examples(&recipe);
        let model = learned(&recipe, &train);
        let quality = measure(model.as_ref(), &train).unwrap();
        assert_eq!(quality.accuracy, 1.0, "{:?}", recipe.model);
    }
}

#[test]
fn the_same_seed_gives_the_same_parameters_to_the_last_bit() {
    for recipe in recipes() {
        let (_, _, train) = examples(&recipe);
        let mut model = learned(&recipe, &train);
        let first = model.weights().unwrap();
        let again = learned(&recipe, &train).weights().unwrap();
        assert!(bits(&first) == bits(&again), "{:?}", recipe.model);
        // What it has learned before changes nothing.
        let none = Examples::default();
        fit(model.as_mut(), &train, &none, recipe.schedule, |_| ()).unwrap();
        assert!(bits(&first) == bits(&model.weights().unwrap()));
    }
}

#[test]
fn a_score_that_is_not_finite_is_no_verdict() {
    for recipe in recipes() {
        let (_, _, train) = examples(&recipe);
        let mut model = learned(&recipe, &train);
        let mut parameters = model.weights().unwrap();
        parameters.fill(f32::NAN);
        model.set_weights(&parameters).unwrap();
        let error = predict(model.as_ref(), &train.rows, train.rows.len()).unwrap_err();
        assert_eq!(error.code, "not-finite", "{:?}", recipe.model);
        assert!(error.message.contains("text 0 "), "{error}");
    }
}

#[test]
fn parameters_carry_all_that_was_learned() {
    for recipe in recipes() {
        let (_, _, train) = examples(&recipe);
        let model = learned(&recipe, &train);
        let parameters = model.weights().unwrap();
        let mut other = recipe.model(train.rows.width()).unwrap();
        assert_eq!(other.weight_count(), parameters.len());
        other.set_weights(&parameters).unwrap();
        assert!(bits(&other.weights().unwrap()) == bits(&parameters));
        let all = 0..train.rows.len();
        let [left, right] =
            [&model, &other].map(|m| bits(&m.scores(&train.rows, all.clone()).unwrap()));
        assert!(left == right, "{:?}", recipe.model);
        let error = other.set_weights(&parameters[1..]).unwrap_err();
        assert_eq!(error.code, "bad-parameters");
    }
}

#[test]
fn a_text_is_judged_the_same_whatever_is_judged_with_it() {
    for recipe in recipes() {
        let (_, _, train) = examples(&recipe);
        let model = learned(&recipe, &train);
        let together = model.scores(&train.rows, 0..10).unwrap();
        for at in 0..10 {
            let alone = model.scores(&train.rows, at..at + 1).unwrap();
            let told = format!("{:?}: {alone:?}", recipe.model);
            assert!(
                bits(&alone) == bits(&together[at * 2..at * 2 + 2]),
                "{told}"
            );
        }
    }
}

#[test]
fn a_saved_model_judges_as_it_did() {
    for recipe in recipes() {
        let (corpus, features, train) = examples(&recipe);
        let model = learned(&recipe, &train);
        let expected = predict(model.as_ref(), &train.rows, train.rows.len()).unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let trained = Trained {
            recipe,
            lexicon: corpus.lexicon,
            features,
            model,
        };
        trained.save(folder.path()).unwrap();
        let loaded = Trained::load(folder.path()).unwrap();
        assert_eq!(loaded.recipe, trained.recipe);
        let texts = texts();
        let given = loaded.judge(texts.iter().map(|(text, _)| text.as_str()));
        assert_eq!(given.unwrap(), expected);
        for part in ["config.json", "vocabulary.txt", "model.safetensors"] {
            let whole = std::fs::read(folder.path().join(part)).unwrap();
            std::fs::write(folder.path().join(part), &whole[..whole.len() / 2]).unwrap();
            let error = Trained::load(folder.path()).err().unwrap();
            assert_eq!(error.code, "bad-model", "{part}");
            std::fs::remove_file(folder.path().join(part)).unwrap();
            let error = Trained::load(folder.path()).err().unwrap();
            assert_eq!(error.code, "model-missing", "{part}");
            std::fs::write(folder.path().join(part), whole).unwrap();
        }
    }
}

#[test]
fn training_keeps_the_best_epoch_and_stops_after_waiting() {
    for recipe in recipes() {
        let (_, _, train) = examples(&recipe);
        let mut model = recipe.model(train.rows.width()).unwrap();
        let mut held_out = train.clone();
        // Every second class is wrong: what is learned soon makes this worse or no better.
        (held_out.classes.iter_mut().step_by(4)).for_each(|class| *class = 1 - *class);
        let schedule = Schedule {
            epochs: 200,
            patience: Some(3),
        };
        let (mut seen, mut epochs) = (Vec::new(), 0);
        let kept = fit(model.as_mut(), &train, &held_out, schedule, |step| {
            seen.push(step.held_out.unwrap());
            epochs = step.epoch;
        });
        let kept = kept.unwrap().unwrap();
        let best = |a: f64, b: f64| a.max(b);
        assert_eq!(
            kept.accuracy,
            seen.iter().map(|q| q.accuracy).fold(0.0, best)
        );
        assert!(epochs < 200, "{:?}", recipe.model);
    }
}

#[test]
fn a_machine_tells_three_classes_apart() {
    let recipe = Recipe {
        labels: ["a", "b", "c"].map(str::to_owned).to_vec(),
        ..recipes()[1].clone()
    };
    let (_, _, mut train) = examples(&recipe);
    // The third class: the texts that end in 3.
    for (at, class) in train.classes.iter_mut().enumerate() {
        *class = if at % 7 == 3 { 2 } else { *class };
    }
    let model = learned(&recipe, &train);
    assert_eq!(measure(model.as_ref(), &train).unwrap().accuracy, 1.0);
    assert_eq!(model.scores(&train.rows, 0..5).unwrap().len(), 15);
}
