//! The weights of a model folder: safetensors files, mapped into memory and brought into the layout that a graph reads.
