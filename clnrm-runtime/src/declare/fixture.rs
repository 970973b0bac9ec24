//! What a parameter of a test may be: a service, a fixture, an option or a tuple of them.

use std::future::Future;
use std::pin::Pin;

use super::{NeedTree, Service};
use crate::error::{CleanroomError, Result};
use crate::session::Leases;

/// Something built from services before the body of a test: the app under
/// test with its pool, a client that is logged in.
///
/// It borrows from nothing that ends before the test: a type with a lifetime
/// implements it as `App<'static>`, and the test takes `App<'_>`.
///
/// ```
/// # use clnrm_runtime as clnrm;
/// # use clnrm::declare::{Attachment, Service};
/// # struct Postgres(clnrm::ServiceHandle);
/// # impl Service for Postgres {
/// #     const ID: &'static str = "doc/doc/doc::Postgres";
/// #     const NAME: &'static str = "postgres";
/// #     const EXPORTS: &'static [&'static str] = &["url"];
/// #     fn attach(lease: Attachment) -> clnrm::Result<Self> { Ok(Self(lease.handle)) }
/// # }
/// struct App {
///     database_url: String,
/// }
///
/// impl clnrm::Fixture for App {
///     type Needs = (Postgres,);
///
///     async fn set_up((db,): Self::Needs) -> clnrm::Result<Self> {
///         Ok(Self { database_url: db.0.url()? })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a service nor a fixture",
    label = "a test cannot ask for this",
    note = "a service is declared: `#[clnrm::service(image = \"nginx:1.29\", port = 80)] struct Web(clnrm::ServiceHandle);`; a fixture implements `clnrm::Fixture`",
    note = "an `Option` or a tuple of them is one too, a `Box`, `Arc` or `Vec` is not: take what is in it; `P` of `clnrm::Running<P>` has `#[derive(clnrm::ServicePlugin)]`"
)]
pub trait Fixture: Sized + 'static {
    /// What it is built from: a service, a fixture, an `Option`, or a tuple of up to twelve.
    type Needs: Needs;

    /// Builds it. It ends by being dropped.
    ///
    /// # Errors
    /// When it cannot be built; the test then fails before its body.
    fn set_up(needs: Self::Needs) -> impl Future<Output = Result<Self>>;
}

// Here and below: what a test cannot ask for is told in a line, not by every way in which it could.
#[diagnostic::do_not_recommend]
impl<S: Service> Fixture for S {
    type Needs = Leased<S>;

    async fn set_up(needs: Leased<S>) -> Result<Self> {
        Ok(needs.0)
    }
}

/// Builds a parameter from the leases of its test.
pub type Build<T> = for<'a> fn(&'a Leases) -> Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// The service itself, as what it needs.
#[derive(Debug)]
pub struct Leased<S>(pub S);

/// What can stand in a signature. Not to be implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a service nor a fixture",
    label = "a test cannot ask for this",
    note = "a service is declared: `#[clnrm::service(image = \"nginx:1.29\", port = 80)] struct Web(clnrm::ServiceHandle);`; a fixture implements `clnrm::Fixture`",
    note = "an `Option` or a tuple of them is one too, a `Box`, `Arc` or `Vec` is not: take what is in it; `P` of `clnrm::Running<P>` has `#[derive(clnrm::ServicePlugin)]`"
)]
pub trait Needs: Sized + 'static {
    /// The services behind it.
    const TREE: NeedTree;

    /// Whether it is a service itself, and not built from some.
    const IS_SERVICE: bool = false;

    /// [`build`](Self::build) as a value. The compiler says of a constant once
    /// that its type lacks the trait, and of a call three times.
    const BUILD: Build<Self> = |leases| Box::pin(Self::build(leases));

    /// Builds it from the leases of a test.
    ///
    /// # Errors
    /// When a service was not leased, or a fixture cannot be built.
    fn build(leases: &Leases) -> impl Future<Output = Result<Self>>;
}

#[diagnostic::do_not_recommend]
impl<S: Service> Needs for Leased<S> {
    const TREE: NeedTree = NeedTree::Service {
        id: S::ID,
        name: S::NAME,
    };
    const IS_SERVICE: bool = true;

    async fn build(leases: &Leases) -> Result<Self> {
        let attachment = leases.get(S::ID)?.ok_or_else(|| {
            CleanroomError::service_error(format!("optional service `{}` did not start", S::NAME))
                .with_hint("take it as `Option<..>` to go on without it")
        })?;
        S::attach(attachment).map(Leased)
    }
}

#[diagnostic::do_not_recommend]
impl<F: Fixture> Needs for F {
    // A fixture of one service is not that service: a test may name both.
    const TREE: NeedTree = if F::Needs::IS_SERVICE {
        F::Needs::TREE
    } else {
        NeedTree::All(BuiltFrom::<F::Needs>::TREES)
    };

    async fn build(leases: &Leases) -> Result<Self> {
        let needs = F::Needs::build(leases).await?;
        F::set_up(needs).await
    }
}

#[diagnostic::do_not_recommend]
impl<F: Fixture> Needs for Option<F> {
    const TREE: NeedTree = NeedTree::Optional(&<F as Needs>::TREE);

    async fn build(leases: &Leases) -> Result<Self> {
        if leases.are_there(&F::Needs::TREE)? {
            F::build(leases).await.map(Some)
        } else {
            Ok(None)
        }
    }
}

/// Keeps the list of a fixture's tree: a branch of a constant cannot.
struct BuiltFrom<N>(std::marker::PhantomData<N>);

impl<N: Needs> BuiltFrom<N> {
    const TREES: &'static [&'static NeedTree] = &[&N::TREE];
}

macro_rules! tuple {
    ($($name:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<$($name: Needs),*> Needs for ($($name,)*) {
            const TREE: NeedTree = NeedTree::All(&[$(&$name::TREE),*]);

            async fn build(_leases: &Leases) -> Result<Self> {
                Ok(($($name::build(_leases).await?,)*))
            }
        }
    };
}

tuple!();
tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
