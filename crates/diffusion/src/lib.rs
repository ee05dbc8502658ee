//! How do a model folder and a prompt become pictures, and which sizes are worth warming?
//!
//! [`models`] reads configs and builds each stage's graph; [`single_file`] finds the components of
//! a model in one safetensors file; [`weights`] brings checkpoints into the order and dtype that a
//! graph reads; [`lora`] changes weights as LoRA files say; [`pipeline`] runs a request on a
//! [`Runtime`](preheat_runtime::Runtime); [`evidence`] reads request logs and plans what to warm.

pub mod evidence;
pub mod lora;
pub mod models;
pub mod pipeline;
pub mod single_file;
pub mod weights;
