//! Noise that follows the generator of torch on the CPU.
