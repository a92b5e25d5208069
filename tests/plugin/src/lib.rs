//! Operators for the integration tests: some behave, some wait, some break the contract.

mod ends;
mod faults;
mod gate;
mod leash;
mod ledger;
mod loops;
mod rows;
mod sum;
mod types;

segue_plugin::export!(
    "pass" => rows::Pass,
    "hoard" => rows::Hoard,
    "every-other" => rows::EveryOther,
    "zero" => rows::Zero,
    "add-one" => rows::AddOne,
    "reached" => rows::Reached,
    "ledger" => ledger::Ledger,
    "running-sum" => sum::RunningSum,
    "propose" => loops::Propose,
    "score" => loops::Score,
    "hold" => loops::Hold,
    "enough" => loops::Enough,
    "gate" => gate::Gate,
    "every-type" => types::EveryType,
    "same-types" => types::SameTypes,
    "ends-the-process" => ends::EndsTheProcess,
    "panics" => faults::Panics,
    "loses-a-row" => faults::LosesARow,
    "gives-text" => faults::GivesText,
    "gives-nothing" => faults::GivesNothing,
    "gives-twice" => faults::GivesTwice,
    "rows-backwards" => faults::RowsBackwards,
    "late" => faults::Late,
    "refuses" => faults::Refuses,
    "will-not-start" => faults::WillNotStart,
);
