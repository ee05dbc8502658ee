//! Named values: attributes, options and properties.

use std::collections::BTreeMap;
use std::ffi::c_char;

use super::call::{list, text};
use super::sys::{self, Args as _};

/// A value of an attribute, a create option or a cost property.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A list of whole numbers.
    IntList(Vec<i64>),
    /// A number.
    Float(f32),
    /// Yes or no.
    Bool(bool),
}

/// Copies what a plugin lists; values of a type that this library does not know are left out.
///
/// # Safety
///
/// Unless null, `first` points to `count` named values that are valid during the call.
pub(super) unsafe fn read_all(
    first: *const sys::NamedValue,
    count: usize,
) -> BTreeMap<String, Value> {
    if first.is_null() || count == 0 {
        return BTreeMap::new();
    }
    // SAFETY: there is at least one, by the caller's word; `struct_size` is its first field.
    let struct_size = unsafe { first.cast::<usize>().read() };
    // A newer plugin's may be longer; some leave the size unset.
    let stride = struct_size
        .max(size_of::<sys::NamedValue>())
        .next_multiple_of(align_of::<sys::NamedValue>());
    (0..count)
        .filter_map(|index| {
            // SAFETY: the caller's word: `count` values lie there, each as long as the plugin says;
            // the fields read are in all of them.
            unsafe { read(&first.byte_add(index * stride).read()) }
        })
        .collect()
}

/// # Safety
///
/// Pointers in `named` are valid for their counts.
unsafe fn read(named: &sys::NamedValue) -> Option<(String, Value)> {
    // SAFETY: the caller's word for the name; for the value, the union's member is the one that
    // `type` names.
    unsafe {
        let name = text(named.name, named.name_size);
        let value = match named.r#type {
            sys::NamedValueType::STRING => {
                Value::Text(text(named.value.string_value, named.value_size))
            }
            sys::NamedValueType::INT64 => Value::Int(named.value.int64_value),
            sys::NamedValueType::INT64_LIST => {
                Value::IntList(list(named.value.int64_array_value, named.value_size).to_vec())
            }
            sys::NamedValueType::FLOAT => Value::Float(named.value.float_value),
            sys::NamedValueType::BOOL => Value::Bool(named.value.bool_value),
            _ => return None,
        };
        Some((name, value))
    }
}

/// The C form of options; it borrows them.
pub(super) fn to_c(options: &[(&str, Value)]) -> Vec<sys::NamedValue> {
    options.iter().map(|(name, value)| one_to_c(name, value)).collect()
}

fn one_to_c(name: &str, value: &Value) -> sys::NamedValue {
    let (r#type, union, value_size) = match value {
        Value::Text(text) => (
            sys::NamedValueType::STRING,
            sys::NamedValueUnion { string_value: text.as_ptr().cast::<c_char>() },
            text.len(),
        ),
        Value::Int(int) => {
            (sys::NamedValueType::INT64, sys::NamedValueUnion { int64_value: *int }, 1)
        }
        Value::IntList(ints) => (
            sys::NamedValueType::INT64_LIST,
            sys::NamedValueUnion { int64_array_value: ints.as_ptr() },
            ints.len(),
        ),
        Value::Float(float) => {
            (sys::NamedValueType::FLOAT, sys::NamedValueUnion { float_value: *float }, 1)
        }
        Value::Bool(bool) => {
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
            ("text", Value::Text("v5e".into())),
            ("empty", Value::Text(String::new())),
            ("int", Value::Int(-3)),
            ("ints", Value::IntList(vec![1, 13, 3])),
            ("float", Value::Float(0.5)),
            ("bool", Value::Bool(true)),
        ];
        let c = to_c(&options);
        // SAFETY: `c` borrows `options`, which lives on.
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
            let mut named = one_to_c(name, &Value::Int(int));
            named.struct_size = size_of::<Longer>();
            Longer(named, u64::MAX)
        };
        let values = [longer("a", 1), longer("b", 2)];
        // SAFETY: two values of the size that they give.
        let read = unsafe { read_all(values.as_ptr().cast(), 2) };
        assert_eq!(
            read,
            BTreeMap::from([("a".into(), Value::Int(1)), ("b".into(), Value::Int(2))])
        );
    }
}
