//! Which arrays cannot exist in this machine's memory, and why?

use crate::dtype::Dtype;

/// The reasons why an array cannot be in host memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// The shape is too large for this machine to address.
    #[error("dimensions {dimensions:?} describe no array")]
    Dimensions {
        /// The shape.
        dimensions: Vec<u64>,
    },
    /// An element of this type cannot be moved between host and device as whole bytes.
    #[error("{dtype} cannot be moved between host and device: its elements are not whole bytes")]
    NotWholeBytes {
        /// The type.
        dtype: Dtype,
    },
    /// The host has less memory than the array takes.
    #[error("the host does not have the {bytes} bytes of memory that an array takes")]
    HostMemory {
        /// The array's size.
        bytes: usize,
    },
}

impl Dtype {
    /// Bytes of one element.
    ///
    /// # Errors
    /// If elements are not whole bytes: types of 2 or 4 bits, and tokens.
    pub const fn bytes(self) -> Result<usize, ArrayError> {
        match self.bits() {
            0 | 2 | 4 => Err(ArrayError::NotWholeBytes { dtype: self }),
            bits => Ok(bits as usize / 8),
        }
    }

    /// Bytes of a dense array of `dimensions`.
    ///
    /// # Errors
    /// If elements are not whole bytes, or there are more of them than memory could hold.
    pub fn array_bytes(self, dimensions: &[u64]) -> Result<usize, ArrayError> {
        let bad = || ArrayError::Dimensions { dimensions: dimensions.to_vec() };
        let element = self.bytes()?;
        let sizes: Option<Vec<usize>> =
            dimensions.iter().map(|&size| usize::try_from(size).ok()).collect();
        let sizes = sizes.ok_or_else(bad)?;
        if sizes.contains(&0) {
            // Checked before the product is computed, because the product of the other dimensions
            // could overflow.
            return Ok(0);
        }
        let bytes = sizes.iter().try_fold(element, |bytes, &size| bytes.checked_mul(size));
        bytes.filter(|bytes| isize::try_from(*bytes).is_ok()).ok_or_else(bad)
    }
}
