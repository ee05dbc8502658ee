//! In which order are an array's dimensions in memory, and how is that order changed? This module
//! changes it on the host's side of a transfer.

use super::error::PjrtError;

/// The order, from the fastest dimension to the slowest, of a row-major array: its last dimension
/// is the fastest.
pub(super) fn row_major(rank: usize) -> Vec<i64> {
    let mut order: Vec<i64> = (0..).take(rank).collect();
    order.reverse();
    order
}

/// Copies a dense array whose dimensions lie in the order `minor_to_major` so that its last
/// dimension becomes the fastest.
///
/// Both slices hold the array's elements, of `width` bytes each.
pub(super) fn to_row_major(
    from: &[u8],
    to: &mut [u8],
    width: usize,
    dims: &[u64],
    minor_to_major: &[i64],
) -> Result<(), PjrtError> {
    let bad = || PjrtError::BadAnswer {
        function: "PJRT_Buffer_GetMemoryLayout",
        what: format!("order {minor_to_major:?} for dimensions {dims:?}"),
    };
    let sizes: Vec<usize> = dims
        .iter()
        .map(|&size| usize::try_from(size))
        .collect::<Result<_, _>>()
        .map_err(|_| bad())?;
    // The distance in bytes between two elements along each dimension; 0 until the dimension is
    // reached.
    let mut strides = vec![0; sizes.len()];
    let mut next = width;
    for &dimension in minor_to_major {
        let dimension =
            usize::try_from(dimension).ok().filter(|&d| d < sizes.len()).ok_or_else(bad)?;
        if strides[dimension] != 0 {
            return Err(bad());
        }
        strides[dimension] = next;
        next = next.checked_mul(sizes[dimension].max(1)).ok_or_else(bad)?;
    }
    if minor_to_major.len() != sizes.len() {
        return Err(bad());
    }
    let mut index = vec![0; sizes.len()];
    let mut offset = 0;
    for element in to.chunks_exact_mut(width) {
        element.copy_from_slice(from.get(offset..offset + width).ok_or_else(bad)?);
        // Increments the last index first, and carries to the one before it.
        for dimension in (0..sizes.len()).rev() {
            index[dimension] += 1;
            offset += strides[dimension];
            if index[dimension] < sizes[dimension] {
                break;
            }
            offset -= strides[dimension] * sizes[dimension];
            index[dimension] = 0;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_three_dimensions_is_undone() {
        let dimensions = [2, 3, 4];
        let expected: Vec<u8> = (0..48).collect();
        for order in [[2, 1, 0], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2], [0, 1, 2]] {
            // Builds the array by the definition: walks the slowest dimension first.
            let mut from = Vec::new();
            let [fast, middle, slow] = order.map(|d| usize::try_from(d).unwrap());
            for i in 0..[2, 3, 4][slow] {
                for j in 0..[2, 3, 4][middle] {
                    for k in 0..[2, 3, 4][fast] {
                        let mut index = [0; 3];
                        (index[slow], index[middle], index[fast]) = (i, j, k);
                        let element = (index[0] * 3 + index[1]) * 4 + index[2];
                        from.extend([2 * element, 2 * element + 1]);
                    }
                }
            }
            let mut to = vec![0; 48];
            to_row_major(&from, &mut to, 2, &dimensions, &order).unwrap();
            assert_eq!(to, expected, "{order:?}");
        }
        assert_eq!(row_major(3), [2, 1, 0]);
    }

    #[test]
    fn an_order_that_is_none_is_an_error() {
        for order in [&[0, 0][..], &[0, 2], &[0], &[-1, 0]] {
            assert!(to_row_major(&[0; 6], &mut [0; 6], 1, &[2, 3], order).is_err());
        }
    }
}
