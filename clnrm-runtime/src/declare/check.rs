//! What the compiler checks in the constants of an expansion: only a type says which service it is.

use super::NeedTree;

/// An entry of [`Service::EXPORTS`](super::Service::EXPORTS): the exports are
/// known when the plugin is configured, and the plan checks them.
pub const ANY_EXPORT: &str = "*";

/// Fails to compile when a text names an export that the service in `field` does not have.
///
/// # Panics
/// In the compiler, with the exports that there are.
#[track_caller]
pub const fn assert_export(field: &str, export: &str, known: &[&str]) {
    if contains(known, export) || contains(known, ANY_EXPORT) {
        return;
    }
    let mut text = Text::new();
    text.push("`{").push(field).push(".").push(export);
    text.push("}`: the service in `").push(field);
    text.push("` exports no `").push(export).push("` (hint: ");
    if known.is_empty() {
        text.push("it exports nothing; declare a port, or `exports(..)`)");
    } else {
        text.push("it exports ");
        text.list(known).push(")");
    }
    text.fail();
}

/// Fails to compile when the parameter at `position` is a service that one
/// before it is already, through whatever alias. Fixtures may share services.
///
/// # Panics
/// In the compiler, with the `newtype` that would tell the two apart.
#[track_caller]
pub const fn assert_named_once(named: &[(&str, &NeedTree)], position: usize, newtype: &str) {
    let (earlier, [(name, tree), ..]) = named.split_at(position) else {
        return;
    };
    let Some((id, service)) = service(tree) else {
        return;
    };
    let mut rest = earlier;
    while let [(other, tree), tail @ ..] = rest {
        if let Some((other_id, _)) = self::service(tree)
            && equal(id, other_id)
        {
            let mut text = Text::new();
            text.push("`").push(other).push("` and `").push(name);
            text.push("` are one service, `").push(service);
            text.push("` (hint: take it once, or give the second a type of its own: ");
            text.push(newtype).push(")");
            text.fail();
        }
        rest = tail;
    }
}

/// Fails to compile when what `service` holds has dependencies: it would be
/// given none of them.
///
/// # Panics
/// In the compiler, with what to declare instead.
#[track_caller]
pub const fn assert_holds_no_needs(service: &str, held: &str, has_needs: bool) {
    if has_needs {
        let mut text = Text::new();
        text.push("`").push(service).push("` holds `").push(held);
        text.push("`, and not what that needs (hint: give it the fields of `");
        text.push(held)
            .push("` instead, with its plugin or options)");
        text.fail();
    }
}

const fn service(tree: &NeedTree) -> Option<(&'static str, &'static str)> {
    match tree {
        NeedTree::Service { id, name } => Some((id, name)),
        NeedTree::Optional(tree) => service(tree),
        NeedTree::All(_) => None,
    }
}

const fn contains(list: &[&str], text: &str) -> bool {
    let mut rest = list;
    while let [first, tail @ ..] = rest {
        if equal(first, text) {
            return true;
        }
        rest = tail;
    }
    false
}

const fn equal(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (a, b) {
            ([], []) => return true,
            ([x, a_tail @ ..], [y, b_tail @ ..]) if *x == *y => (a, b) = (a_tail, b_tail),
            _ => return false,
        }
    }
}

/// A message that is put together by the compiler.
struct Text {
    bytes: [u8; Self::SIZE],
    len: usize,
}

#[expect(
    clippy::indexing_slicing,
    reason = "const code; every index is compared with the length before"
)]
impl Text {
    const SIZE: usize = 2048;

    const fn new() -> Self {
        Self {
            bytes: [0; Self::SIZE],
            len: 0,
        }
    }

    /// Adds a text, or nothing of it when there is no room: half of one might
    /// end inside a character.
    const fn push(&mut self, text: &str) -> &mut Self {
        let bytes = text.as_bytes();
        if bytes.len() > Self::SIZE - self.len {
            return self;
        }
        let mut at = 0;
        while at < bytes.len() {
            self.bytes[self.len] = bytes[at];
            self.len += 1;
            at += 1;
        }
        self
    }

    const fn list(&mut self, items: &[&str]) -> &mut Self {
        let mut rest = items;
        let mut first = true;
        while let [item, tail @ ..] = rest {
            if !first {
                self.push(", ");
            }
            self.push("`").push(item).push("`");
            first = false;
            rest = tail;
        }
        self
    }

    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "it runs in the compiler, whose errors these are"
    )]
    const fn fail(&self) -> ! {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => panic!("{}", text),
            Err(_) => panic!("the declaration makes no sense"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: NeedTree = NeedTree::Service {
        id: "p/it/it::Db",
        name: "db",
    };
    const CACHE: NeedTree = NeedTree::Service {
        id: "p/it/it::Cache",
        name: "cache",
    };

    #[track_caller]
    fn message(check: impl Fn() + std::panic::UnwindSafe) -> String {
        let panic = std::panic::catch_unwind(check).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn an_unknown_export_names_the_known_ones() {
        assert_export("db", "url", &["host", "url"]);
        assert_export("db", "admin", &[ANY_EXPORT]);
        assert_eq!(
            message(|| assert_export("db", "ulr", &["host", "url"])),
            "`{db.ulr}`: the service in `db` exports no `ulr` (hint: it exports `host`, `url`)"
        );
        assert!(message(|| assert_export("db", "url", &[])).contains("exports nothing"));
    }

    #[test]
    fn one_service_twice_suggests_a_newtype() {
        let newtype = "`#[clnrm::service(plugin())] struct Other(Db);`";
        assert_named_once(&[("cache", &CACHE), ("db", &DB)], 1, newtype);
        assert_eq!(
            message(|| assert_named_once(
                &[
                    ("cache", &CACHE),
                    ("db", &DB),
                    ("other", &NeedTree::Optional(&DB))
                ],
                2,
                newtype
            )),
            "`db` and `other` are one service, `db` (hint: take it once, or give the second a type \
             of its own: `#[clnrm::service(plugin())] struct Other(Db);`)"
        );
    }

    #[test]
    fn what_is_held_has_no_dependencies() {
        assert_holds_no_needs("OtherDb", "Db", false);
        assert_eq!(
            message(|| assert_holds_no_needs("OtherShop", "Shop", true)),
            "`OtherShop` holds `Shop`, and not what that needs (hint: give it the fields of `Shop` \
             instead, with its plugin or options)"
        );
    }

    #[test]
    fn fixtures_may_share_a_service_with_a_parameter() {
        let fixture = NeedTree::All(&[&DB]);
        assert_named_once(&[("db", &DB), ("a", &fixture), ("b", &fixture)], 2, "");
        assert_named_once(&[("app", &fixture), ("db", &DB)], 1, "");
    }
}
