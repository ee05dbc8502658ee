//! How does one token of a prompt stand for an embedding of several vectors?
//!
//! If the vocabulary has `<cat>` and beside it `<cat>_1` and `<cat>_2`, then `<cat>` in a prompt
//! stands for all three tokens (`maybe_convert_prompt` of diffusers).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::clip::Clip;

/// For each token that has several vectors, the text that replaces it in a prompt.
pub(super) struct Vectors(BTreeMap<String, String>);

impl Vectors {
    /// Finds the tokens with several vectors among those that were added to a vocabulary.
    pub(super) fn of(tokenizer: &Clip) -> Self {
        let added = tokenizer.get_added_vocabulary().get_vocab();
        let all = |token: &String| {
            let further = (1..)
                .map(|number| format!("{token}_{number}"))
                .take_while(|name| added.contains_key(name));
            let further: Vec<String> = further.collect();
            (!further.is_empty()).then(|| (token.clone(), format!("{token} {}", further.join(" "))))
        };
        Self(added.keys().filter_map(all).collect())
    }

    /// The text, in which each token with several vectors is followed by its other tokens.
    pub(super) fn expand<'a>(
        &self,
        text: &'a str,
        tokenizer: &Clip,
    ) -> Result<Cow<'a, str>, tokenizers::Error> {
        if self.0.is_empty() {
            return Ok(Cow::Borrowed(text));
        }
        let encoding = tokenizer.encode(text, false)?;
        let there: BTreeSet<&String> = encoding.get_tokens().iter().collect();
        let of_several = there.into_iter().filter_map(|token| self.0.get_key_value(token));
        Ok(of_several
            .fold(Cow::Borrowed(text), |text, (token, all)| Cow::Owned(text.replace(token, all))))
    }
}
