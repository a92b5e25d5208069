//! Whether a model judges texts, and with one class each.

use crate::config::ModelConfig;
use crate::error::ModelError;

/// What the end of a class of the library says of its head.
const TASKS: [(&str, Head); 11] = [
    ("ForSequenceClassification", Head::Classes),
    (
        "ForTokenClassification",
        Head::Other("gives each token a class"),
    ),
    (
        "ForQuestionAnswering",
        Head::Other("finds answers in texts"),
    ),
    ("ForMultipleChoice", Head::Other("chooses among texts")),
    (
        "ForNextSentencePrediction",
        Head::Other("tells whether a text follows another"),
    ),
    ("ForMaskedLM", Head::None),
    ("ForPreTraining", Head::None),
    ("LMHeadModel", Head::None),
    ("ForImageClassification", Head::Other("judges images")),
    ("ForSentenceEmbedding", Head::None),
    ("Model", Head::None),
];

#[derive(Clone, Copy, PartialEq)]
enum Head {
    /// One class a text.
    Classes,
    /// None that is run: what comes out are hidden states.
    None,
    /// One for another purpose.
    Other(&'static str),
}

impl ModelConfig {
    fn head(&self) -> Option<Head> {
        let name = self.architectures.first()?;
        let task = TASKS.iter().find(|(end, _)| name.ends_with(end));
        task.map(|(_, head)| *head)
    }

    /// Whether the file says that the model gives a text classes; `None` when it says nothing.
    pub fn says_classes(&self) -> Option<bool> {
        self.head().map(|head| head == Head::Classes)
    }

    /// Refuses a model whose outputs are not the scores of classes of which a text has one.
    ///
    /// # Errors
    /// `model-task`
    pub fn check_task(&self) -> Result<(), ModelError> {
        if let Some(Head::Other(does)) = self.head() {
            let name = &self.architectures[0];
            let message = format!("the model is a `{name}`, which {does}; it does not judge texts");
            return Err(ModelError::new("model-task", message)
                .help("take a model whose `architectures` ends in `ForSequenceClassification`, or train one with `finetune`"));
        }
        Ok(())
    }

    /// As [`Self::check_task`], for a model that has a classifier.
    ///
    /// # Errors
    /// `model-task`
    pub fn check_classes(&self) -> Result<(), ModelError> {
        self.check_task()?;
        let why = match self.problem_type.as_deref() {
            Some("single_label_classification") | None if self.labels.len() > 1 => return Ok(()),
            Some("multi_label_classification") => {
                "can give a text several labels at once (`problem_type` is `multi_label_classification`)".into()
            }
            Some("regression") => "gives numbers (`problem_type` is `regression`)".into(),
            Some("single_label_classification") | None => {
                "has a single output, which is a number".to_owned()
            }
            Some(other) => format!("has the unknown `problem_type` `{other}`"),
        };
        let message = format!("the model {why}; verdicts need classes of which a text has one");
        Err(ModelError::new("model-task", message)
            .help("take a model of single-label classification, or train one with `finetune`"))
    }
}
