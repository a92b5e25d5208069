//! The engine of `bert` on tiny random models, and on the model in `shared` when it is there.

mod broken;
mod difference;
mod export;
mod families;
mod onnx;
mod precision;
mod reference;
mod sizes;
mod speed;
mod split;
mod tiny;
