//! The models and their operators, from outside.

mod gradients;
mod models;
mod operator;
mod tiny;
