//! What `read` says of a row: what it is for, and how far its source is.

use segue_plugin::arrow_array::cast::AsArray;
use segue_plugin::arrow_array::types::{Float32Type, UInt32Type};
use segue_plugin::{Batch, Error, Result};

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To learn from.
    Train,
    /// To choose by, such as the best epoch.
    Validation,
    /// To be judged.
    Test,
}

/// All of them, as the column has them.
const ROLES: [(Role, &str); 3] = [
    (Role::Train, "train"),
    (Role::Validation, "validation"),
    (Role::Test, "test"),
];

impl Role {
    /// As the column has it.
    pub fn name(self) -> &'static str {
        ROLES
            .iter()
            .find(|(role, _)| *role == self)
            .map_or("", |(_, name)| name)
    }

    /// From what the column has.
    ///
    /// # Errors
    /// `unknown-role`
    pub fn named(name: &str) -> Result<Self> {
        let found = ROLES.iter().find(|(_, known)| *known == name);
        found.map(|(role, _)| *role).ok_or_else(|| {
            let names = ROLES.map(|(_, name)| name).join("`, `");
            let message = format!("`{name}` is none of the roles `{names}`");
            Error::new("unknown-role", message)
        })
    }
}

/// The `role` of each row; `None` where a row has none, or the batch no such column.
///
/// # Errors
/// `unknown-role`; `column-mismatch` when the column is not text
pub fn roles(batch: &Batch) -> Result<Vec<Option<Role>>> {
    match batch.columns().column_by_name("role") {
        None => Ok(vec![None; batch.rows()]),
        Some(_) => {
            let names = batch.text("role")?.iter();
            names
                .map(|name| name.map(Role::named).transpose())
                .collect()
        }
    }
}

/// The one role of all rows that have one, for whoever takes a batch as a whole; `Train` where
/// none has.
///
/// # Errors
/// `mixed-roles`; those of [`roles`]
pub fn one_role(batch: &Batch) -> Result<Role> {
    let roles = roles(batch)?;
    let mut roles = roles.into_iter().flatten();
    let first = roles.next().unwrap_or(Role::Train);
    if roles.any(|role| role != first) {
        let message = "a batch has rows to train with and others; each `read` must have its own";
        return Err(Error::new("mixed-roles", message));
    }
    Ok(first)
}

/// How far the source of a batch is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pass {
    /// From 0, of the first row; `None` for rows that are looked at after every epoch.
    pub epoch: Option<u32>,
    /// The part of all the source's epochs that is done with this batch.
    pub progress: f32,
}

/// Reads the columns `epoch` and `progress`.
///
/// # Errors
/// `missing-column`
pub fn pass(batch: &Batch) -> Result<Pass> {
    let missing = |name: &str| Error::new("missing-column", format!("no column `{name}`"));
    let column = |name: &str| {
        let found = batch.columns().column_by_name(name);
        found.ok_or_else(|| missing(name))
    };
    let epoch = column("epoch")?.as_primitive_opt::<UInt32Type>();
    let progress = column("progress")?.as_primitive_opt::<Float32Type>();
    let (Some(epoch), Some(progress)) = (epoch, progress) else {
        return Err(missing("epoch"));
    };
    Ok(Pass {
        epoch: epoch.iter().next().unwrap_or(Some(0)),
        progress: progress.iter().last().flatten().unwrap_or(0.0),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use segue_plugin::arrow_array::{ArrayRef, Float32Array, StringArray, UInt32Array};

    use super::*;

    fn batch(roles: &[Option<&str>]) -> Batch {
        let roles: ArrayRef = Arc::new(StringArray::from(roles.to_vec()));
        Batch::from_arrays(0, vec![("role".to_owned(), roles)]).unwrap()
    }

    #[test]
    fn rows_have_a_role_or_none() {
        let some = batch(&[Some("train"), None, Some("test"), Some("validation")]);
        let train = Some(Role::Train);
        let expected = [train, None, Some(Role::Test), Some(Role::Validation)];
        assert_eq!(roles(&some).unwrap(), expected);
        assert_eq!(
            roles(&batch(&[Some("trial")])).unwrap_err().code,
            "unknown-role"
        );
        assert!(
            expected
                .iter()
                .flatten()
                .all(|role| Role::named(role.name()).unwrap() == *role)
        );
    }

    #[test]
    fn a_batch_has_one_role() {
        let one = |roles: &[Option<&str>]| one_role(&batch(roles));
        assert_eq!(one(&[]).unwrap(), Role::Train);
        assert_eq!(one(&[None, Some("validation")]).unwrap(), Role::Validation);
        let mixed = one(&[Some("test"), Some("train")]).unwrap_err();
        assert_eq!(mixed.code, "mixed-roles");
    }

    #[test]
    fn a_pass_is_that_of_the_first_and_last_row() {
        let epochs: ArrayRef = Arc::new(UInt32Array::from(vec![Some(3), Some(4)]));
        let progress: ArrayRef = Arc::new(Float32Array::from(vec![0.25, 0.5]));
        let columns = vec![
            ("epoch".to_owned(), epochs),
            ("progress".to_owned(), progress),
        ];
        let found = pass(&Batch::from_arrays(0, columns).unwrap()).unwrap();
        assert_eq!(
            found,
            Pass {
                epoch: Some(3),
                progress: 0.5
            }
        );
        assert_eq!(pass(&batch(&[None])).unwrap_err().code, "missing-column");
    }
}
