//! A task that every model can learn, and recipes small enough to do so at once.

use segue_baselines::features::rows::Examples;
use segue_baselines::features::tfidf::TfidfOptions;
use segue_baselines::features::tokens::TokenOptions;
use segue_baselines::features::words::Corpus;
use segue_baselines::features::{FeatureOptions, Features};
use segue_baselines::models::adam::AdamOptions;
use segue_baselines::models::ann::AnnOptions;
use segue_baselines::models::cnn::CnnOptions;
use segue_baselines::models::network::LearningOptions;
use segue_baselines::models::recipe::{ModelOptions, Recipe};
use segue_baselines::models::svm::SvmOptions;
use segue_baselines::models::training::Schedule;

const GOOD: [&str; 3] = ["lovely", "charming", "great"];
const BAD: [&str; 3] = ["dull", "poor", "worst"];

/// Sixty texts, with their classes: 0 for bad, 1 for good.
pub fn texts() -> Vec<(String, u32)> {
    (0..60)
        .map(|i: usize| {
            let class = i % 2;
            let word = [BAD, GOOD][class][i / 2 % 3];
            let filler = ["a film", "the plot was", "this one is a scene of"][i / 6 % 3];
            (format!("{filler} {word} end {}", i % 7), class as u32)
        })
        .collect()
}

/// Words, features and examples of [`texts`] under a recipe.
pub fn examples(recipe: &Recipe) -> (Corpus, Features, Examples) {
    let mut corpus = Corpus::default();
    let texts = texts();
    texts.iter().for_each(|(text, _)| corpus.push(text));
    let all: Vec<usize> = (0..texts.len()).collect();
    let features = Features::learn(&recipe.features, &corpus, &all);
    let examples = Examples {
        rows: features.rows(&corpus, &all),
        classes: texts.into_iter().map(|(_, class)| class).collect(),
    };
    (corpus, features, examples)
}

/// One recipe a model.
pub fn recipes() -> Vec<Recipe> {
    let tfidf = FeatureOptions::Tfidf(TfidfOptions {
        ngrams: 2,
        least_texts: 1,
        most_features: 500,
    });
    let tokens = FeatureOptions::Tokens(TokenOptions {
        least_texts: 1,
        most_words: 500,
        max_tokens: 50,
        min_tokens: 2,
    });
    let svm = |naive_bayes| {
        ModelOptions::Svm(SvmOptions {
            cost: 1.0,
            tolerance: 0.01,
            naive_bayes,
            seed: 5,
        })
    };
    let learning = LearningOptions {
        batch: 7,
        adam: AdamOptions {
            rate: 0.02,
            decay: 0.01,
        },
        seed: 5,
    };
    let ann = AnnOptions {
        hidden: 8,
        dropout: 0.2,
    };
    let cnn = CnnOptions {
        embedding: 8,
        filters: 6,
        widest: 2,
        dropout: 0.2,
    };
    [
        (tfidf, svm(false)),
        (tfidf, svm(true)),
        (tfidf, ModelOptions::Ann(ann, learning)),
        (tokens, ModelOptions::Cnn(cnn, learning)),
    ]
    .map(|(features, model)| Recipe {
        labels: vec!["bad".to_owned(), "good".to_owned()],
        features,
        model,
        schedule: Schedule {
            epochs: 20,
            patience: None,
        },
    })
    .to_vec()
}
