//! From a model folder and a prompt to pictures.

pub mod noise;
pub mod schedulers;
pub mod tokenizer;
