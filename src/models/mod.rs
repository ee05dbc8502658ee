//! The models of a diffusers folder as graphs: the text encoders, the denoiser and the VAE decoder, from their config files.
