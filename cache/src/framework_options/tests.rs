use super::*;

fn varint_of(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint_of(field << 3), varint_of(value)].concat()
}

fn content(field: u64, bytes: &[u8]) -> Vec<u8> {
    [varint_of(field << 3 | 2), varint_of(bytes.len() as u64), bytes.to_vec()].concat()
}

fn entry(field: u64, key: &str, value: &str) -> Vec<u8> {
    content(field, &[content(1, key.as_bytes()), content(2, value.as_bytes())].concat())
}

/// Options that consist of these debug options, other build options, and overrides.
fn options(debug: &[Vec<u8>], build: &[Vec<u8>], overrides: &[Vec<u8>]) -> FrameworkOptions {
    let build = [content(3, &debug.concat()), number(4, 1), number(5, 1), build.concat()].concat();
    FrameworkOptions::read(&[content(3, &build), overrides.concat()].concat()).unwrap()
}

fn debug(fields: &[Vec<u8>]) -> Digest {
    options(fields, &[], &[]).digest()
}

#[test]
fn the_order_of_a_map_does_not_matter_and_its_entries_do() {
    let (a, b, c) = (entry(357, "a", "1"), entry(357, "b", "2"), entry(357, "b", "3"));
    assert_eq!(debug(&[a.clone(), b.clone()]), debug(&[b.clone(), a.clone()]));
    assert_ne!(debug(&[a.clone(), b.clone()]), debug(&[a.clone(), c.clone()]));
    assert_ne!(debug(&[a.clone(), b.clone()]), debug(std::slice::from_ref(&a)));
    assert_ne!(debug(&[entry(357, "a", "1")]), debug(&[entry(500, "a", "1")]));
    // The last of two entries counts, so their order matters.
    assert_ne!(debug(&[b.clone(), c.clone()]), debug(&[c, b]));
    // A field that is no map keeps its order.
    let (one, two) = (content(30, b"one"), content(30, b"two"));
    assert_ne!(debug(&[one.clone(), two.clone()]), debug(&[two, one]));
}

#[test]
fn dumps_and_folders_are_left_out_and_their_neighbours_are_not() {
    let plain = debug(&[]);
    for field in DUMPS {
        assert_eq!(plain, debug(&[content(field, b"/tmp/dump")]), "{field}");
    }
    assert_eq!(plain, debug(&[content(310, b"/home/a/cache")]));
    assert_eq!(plain, debug(&[content(306, b"/home/a/cache")]));
    // These fields are kept. For example, snapshots change what an execution does, 311 is a size,
    // and 108 is the place of step markers.
    for field in [118, 311, 108, 99] {
        assert_ne!(plain, debug(&[number(field, 1)]), "{field}");
    }
}

#[test]
fn overrides_are_sorted_and_dumps_among_them_are_left_out() {
    let of = |overrides: &[Vec<u8>]| options(&[], &[], overrides).digest();
    let (a, b) = (entry(7, "xla_a", "\x01"), entry(7, "xla_b", "\x01"));
    assert_eq!(of(&[a.clone(), b.clone()]), of(&[b.clone(), a.clone()]));
    assert_eq!(of(&[]), of(&[entry(7, "xla_dump_to", "/tmp")]));
    assert_ne!(of(&[]), of(&[entry(7, "xla_dump_hlo_snapshots", "\x01")]));
    assert_ne!(of(&[a]), of(&[b]));
}

#[test]
fn which_device_runs_a_program_matters_only_beside_others() {
    let assigned = |device: u64, replicas: u64, partitions: u64| {
        let ids = content(3, &content(1, &varint_of(device)));
        let build = [number(4, replicas), number(5, partitions), content(9, &ids)].concat();
        FrameworkOptions::read(&content(3, &build)).unwrap()
    };
    let (first, second) = (assigned(0, 1, 1), assigned(1, 1, 1));
    assert_eq!(first.digest(), second.digest());
    assert_ne!(first.device_assignment(), second.device_assignment());
    assert!(first.on_one_device() && !assigned(0, 2, 1).on_one_device());
    assert_ne!(assigned(0, 2, 1).digest(), assigned(1, 2, 1).digest());
    assert_ne!(assigned(0, 1, 2).digest(), assigned(1, 1, 2).digest());
    assert_ne!(assigned(0, 1, 1).digest(), assigned(0, 2, 1).digest());
}

#[test]
fn every_other_field_counts() {
    let of = |more: &[Vec<u8>]| options(&[], more, &[]).digest();
    let plain = of(&[]);
    for more in [number(1, 1), number(6, 1), number(19, 1), content(14, b"fdo"), number(77, 1)] {
        assert_ne!(plain, of(&[more]));
    }
    let top = |more: Vec<u8>| {
        let build = content(3, &[number(4, 1), number(5, 1)].concat());
        FrameworkOptions::read(&[build, more].concat()).unwrap().digest()
    };
    assert_ne!(top(vec![]), top(number(4, 1)));
    assert_ne!(top(vec![]), top(content(1, b"layout")));
}

#[test]
fn options_that_cannot_be_read_are_refused() {
    for bad in [&b""[..], b"\x1a\xff", b"\x1a\x04\x20\x01\x28\x00", b"\xff\xff\xff"] {
        assert!(FrameworkOptions::read(bad).is_none(), "{bad:?}");
    }
    let odd = options(&[content(357, b"\xff")], &[], &[]);
    assert_ne!(odd.digest(), options(&[content(357, b"\xfe")], &[], &[]).digest());
}

#[test]
fn they_are_read_back_from_json_as_they_were() {
    let one = options(&[entry(357, "a", "1")], &[], &[]);
    let text = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<FrameworkOptions>(&text).unwrap(), one);
    assert!(serde_json::from_str::<FrameworkOptions>("\"zz\"").is_err());
    assert!(serde_json::from_str::<FrameworkOptions>("\"00\"").is_err());
}
