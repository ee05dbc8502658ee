//! How do attributes, options and properties pass between Rust and a plugin? As named values.

use std::collections::BTreeMap;
use std::ffi::c_char;

use super::sys::{self, Args as _};
use super::table::{list, text};

/// A value of an attribute, a create option or a cost property.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PjrtValue {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A list of whole numbers.
    IntList(Vec<i64>),
    /// A number.
    Float(f32),
    /// True or false.
    Bool(bool),
}

/// Copies the named values of a plugin; values of a type that this library does not know are left
/// out.
///
/// # Safety
///
/// Unless null, `first` points to `count` named values that are valid during the call.
pub(super) unsafe fn read_all(
    first: *const sys::NamedValue,
    count: usize,
) -> BTreeMap<String, PjrtValue> {
    if first.is_null() || count == 0 {
        return BTreeMap::new();
    }
    // SAFETY: the caller vouches that there is at least one; `struct_size` is its first field.
    let struct_size = unsafe { first.cast::<usize>().read() };
    // The values of a newer plugin may be longer; some plugins leave the size unset.
    let stride = struct_size
        .max(size_of::<sys::NamedValue>())
        .next_multiple_of(align_of::<sys::NamedValue>());
    (0..count)
        .filter_map(|index| {
            // SAFETY: the caller vouches for `count` values, each as long as the plugin says; all
            // of them have the fields that are read.
            unsafe { read(&first.byte_add(index * stride).read()) }
        })
        .collect()
}

/// # Safety
///
/// The pointers in `named` are valid for their counts.
unsafe fn read(named: &sys::NamedValue) -> Option<(String, PjrtValue)> {
    // SAFETY: the caller vouches for the name; the value's member is the one that `type` names.
    unsafe {
        let name = text(named.name, named.name_size);
        let value = match named.r#type {
            sys::NamedValueType::STRING => {
                PjrtValue::Text(text(named.value.string_value, named.value_size))
            }
            sys::NamedValueType::INT64 => PjrtValue::Int(named.value.int64_value),
            sys::NamedValueType::INT64_LIST => {
                PjrtValue::IntList(list(named.value.int64_array_value, named.value_size).to_vec())
            }
            sys::NamedValueType::FLOAT => PjrtValue::Float(named.value.float_value),
            sys::NamedValueType::BOOL => PjrtValue::Bool(named.value.bool_value),
            _ => return None,
        };
        Some((name, value))
    }
}

/// The options in their C form, which borrows them.
pub(super) fn to_c(options: &[(&str, PjrtValue)]) -> Vec<sys::NamedValue> {
    options.iter().map(|(name, value)| one_to_c(name, value)).collect()
}

fn one_to_c(name: &str, value: &PjrtValue) -> sys::NamedValue {
    let (r#type, union, value_size) = match value {
        PjrtValue::Text(text) => (
            sys::NamedValueType::STRING,
            sys::NamedValueUnion { string_value: text.as_ptr().cast::<c_char>() },
            text.len(),
        ),
        PjrtValue::Int(int) => {
            (sys::NamedValueType::INT64, sys::NamedValueUnion { int64_value: *int }, 1)
        }
        PjrtValue::IntList(ints) => (
            sys::NamedValueType::INT64_LIST,
            sys::NamedValueUnion { int64_array_value: ints.as_ptr() },
            ints.len(),
        ),
        PjrtValue::Float(float) => {
            (sys::NamedValueType::FLOAT, sys::NamedValueUnion { float_value: *float }, 1)
        }
        PjrtValue::Bool(bool) => {
            (sys::NamedValueType::BOOL, sys::NamedValueUnion { bool_value: *bool }, 1)
        }
    };
    sys::NamedValue {
        name: name.as_ptr().cast::<c_char>(),
        name_size: name.len(),
        r#type,
        value: union,
        value_size,
        ..sys::NamedValue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_through_c() {
        let options = [
            ("text", PjrtValue::Text("v5e".into())),
            ("empty", PjrtValue::Text(String::new())),
            ("int", PjrtValue::Int(-3)),
            ("ints", PjrtValue::IntList(vec![1, 13, 3])),
            ("float", PjrtValue::Float(0.5)),
            ("bool", PjrtValue::Bool(true)),
        ];
        let c = to_c(&options);
        // SAFETY: `c` borrows `options`, which is still alive.
        let back = unsafe { read_all(c.as_ptr(), c.len()) };
        assert_eq!(
            back,
            options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        );
    }

    #[test]
    fn values_of_a_newer_longer_struct_are_stepped_over_by_their_own_size() {
        #[repr(C)]
        struct Longer(sys::NamedValue, u64);
        let longer = |name: &'static str, int| {
            let mut named = one_to_c(name, &PjrtValue::Int(int));
            named.struct_size = size_of::<Longer>();
            Longer(named, u64::MAX)
        };
        let values = [longer("a", 1), longer("b", 2)];
        // SAFETY: there are two values, of the size that they state.
        let read = unsafe { read_all(values.as_ptr().cast(), 2) };
        assert_eq!(
            read,
            BTreeMap::from([("a".into(), PjrtValue::Int(1)), ("b".into(), PjrtValue::Int(2))])
        );
    }
}
