//! Does a group have only one user? The answer comes from the machine's files of users and groups.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::files::anywhere::read_small;

/// The longest `/etc/group` or `/etc/passwd` that is read. A machine with more users keeps them in
/// a directory service, which preheat does not query.
const LIMIT_BYTES: u64 = 4 << 20;

/// Whether this user is the only member of a group. The answer is no if the machine's files do not
/// name the group or the user, or if the two have different names, since others may then be in the
/// group.
pub(super) fn is_of_one_user(gid: u32, uid: u32) -> bool {
    static KNOWN: Mutex<BTreeMap<(u32, u32), bool>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry((gid, uid)).or_insert_with(|| {
        let read = |path: &str| read_small(path.as_ref(), LIMIT_BYTES).unwrap_or_default();
        told_by(&read("/etc/group"), &read("/etc/passwd"), gid, uid)
    })
}

/// Each line of `group` is `name:password:gid:member,member`, each line of `passwd` is
/// `name:password:uid:gid:...`.
pub(super) fn told_by(group: &str, passwd: &str, gid: u32, uid: u32) -> bool {
    let field = |line: &str, at: usize| line.split(':').nth(at).map(str::to_owned);
    let is = |line: &str, at, number: u32| {
        let number = number.to_string();
        field(line, at).is_some_and(|one| one == number)
    };
    let named: Vec<&str> = group.lines().filter(|line| is(line, 2, gid)).collect();
    let of_user = passwd.lines().filter(|line| is(line, 2, uid));
    let users: Vec<String> = of_user.filter_map(|line| field(line, 0)).collect();
    let primary = passwd.lines().filter(|line| is(line, 3, gid)).all(|line| is(line, 2, uid));
    let listed = named.iter().filter_map(|line| field(line, 3));
    let alone = listed
        .flat_map(|members| members.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>())
        .all(|member| member.is_empty() || users.contains(&member));
    // A directory service may add members to a group. But a group that has the name of its user was
    // made for that user alone, so it is assumed to have no other members.
    let is_of_user = |line: &&str| field(line, 0).is_some_and(|name| users.contains(&name));
    named.iter().any(is_of_user) && primary && alone
}

#[cfg(test)]
mod tests {
    use super::told_by;

    const GROUP: &str = "root:x:0:\nann:x:1000:\nbob:x:1001:bob\nstaff:x:50:ann,bob\n\
        alone:x:60:ann\nann2:x:70:\n";
    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
        bob:x:1001:1001::/home/bob:/bin/sh\ncarl:x:1002:60::/home/carl:/bin/sh\n";

    #[test]
    fn a_group_without_other_members_stands_for_its_user() {
        assert!(told_by(GROUP, PASSWD, 1000, 1000));
        assert!(told_by(GROUP, PASSWD, 1001, 1001), "bob may be listed in his own group");
        assert!(!told_by(GROUP, PASSWD, 50, 1000), "bob is in it, too");
        assert!(!told_by(GROUP, PASSWD, 60, 1000), "it is the primary group of carl");
        assert!(!told_by(GROUP, PASSWD, 1000, 1001), "it is the group of another user");
        assert!(!told_by(GROUP, PASSWD, 70, 1000), "others may be in it by a directory service");
        assert!(!told_by(GROUP, PASSWD, 80, 1000), "nothing is known of it");
        assert!(!told_by(GROUP, PASSWD, 1000, 4242), "nothing is known of the user");
    }
}
