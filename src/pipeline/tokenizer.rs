//! stub
/// stub
#[derive(Debug)]
pub struct Tokenizer;
/// stub
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct TokenizerError;
/// stub
pub struct Encoded {
    /// stub
    pub ids: Vec<i32>,
    /// stub
    pub truncated: Option<String>,
}
impl Tokenizer {
    /// stub
    pub fn open(_: &std::path::Path) -> Result<Self, TokenizerError> {
        Err(TokenizerError)
    }
    /// stub
    pub fn encode(&self, _: &str) -> Encoded {
        Encoded { ids: vec![], truncated: None }
    }
}
