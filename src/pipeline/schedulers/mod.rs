//! Schedulers: what each call of the denoiser is given, and how its output updates the latents.
