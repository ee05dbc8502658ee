//! CLIP tokenizers from the files of a model folder.
