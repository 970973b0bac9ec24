//! What an expansion names is its own, whatever stands around it.

/// A module of the name that the compiler's tool attributes begin with.
mod diagnostic {}

clnrm_runtime::handle! {
    /// With a plugin.
    pub struct Held: "held", exports &["url"], plugin by_hand::ByHand;
}

clnrm_runtime::handle! {
    /// Without one.
    pub struct Any: "any", exports &["url"];
}

/// Plugins that are no attributes.
mod by_hand {
    #[derive(Debug)]
    pub struct ByHand;

    impl clnrm::ServicePlugin for ByHand {
        fn name(&self) -> &str {
            "by-hand"
        }
    }
}

/// Other types of the names that everybody knows.
#[allow(non_camel_case_types, dead_code)]
mod taken {
    #![no_implicit_prelude]

    use ::clnrm::ServiceHandle;

    mod diagnostic {}
    struct str;
    struct u8;
    struct usize;
    struct bool;
    struct Option;
    struct Result;
    struct String;
    struct Vec;
    struct Box;

    #[::clnrm::service(
        image = "db:1",
        port(api = 1, admin = 2),
        args = ["{port.api}"],
        ready(http = "/", port = "api", body = "ok", exec = ["check"], log = "up", stream = "stdout"),
        exports(admin = "{host}"),
        start_timeout = "1s",
    )]
    pub struct Db(ServiceHandle);

    #[::clnrm::service(crate::by_hand::ByHand, env(A = "{db.url}"), scope = "run")]
    struct Web {
        handle: crate::Held,
        db: Db,
        other: ::core::option::Option<Held>,
    }

    #[::clnrm::service(crate::by_hand::ByHand, name = "of-its-own")]
    struct Held(crate::Any);

    #[::core::prelude::v1::derive(::core::fmt::Debug, ::clnrm::ServicePlugin)]
    #[plugin(type = "minio", image = "minio:1", port = 9000, ready(tcp))]
    struct Minio {
        #[plugin(env = "USER", default = "me")]
        user: ::std::string::String,
        region: ::core::option::Option<::std::string::String>,
    }

    #[::clnrm::test(timeout = "1s", shared(db))]
    #[ignore = "it is enough that it compiles"]
    async fn all(web: Web, db: &Db, store: ::core::option::Option<::clnrm::Running<Minio>>) {
        _ = (web, db, store);
    }

    #[::clnrm::test]
    #[should_panic(expected = "on purpose")]
    fn nothing() {
        ::core::panic!("on purpose")
    }
}

/// The name of a type is its author's, and so are its lints.
#[allow(non_camel_case_types)]
#[clnrm::service(image = "s3:1")]
struct S3_Store(clnrm::ServiceHandle);
