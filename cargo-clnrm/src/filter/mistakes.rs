//! What is said of wrong expressions.

use super::Filter;

#[track_caller]
fn error(expression: &str) -> String {
    Filter::parse(expression).unwrap_err().to_string()
}

#[test]
fn an_unknown_predicate_names_the_likely_one() {
    insta::assert_snapshot!(error("tst(foo) and pakage(shop) - pkg(x) | xyz(a)"), @"
    unknown predicate `tst`
      tst(foo) and pakage(shop) - pkg(x) | xyz(a)
      ^^^ expected one of `test`, `package`, `deps`, `rdeps`, `binary_id`, `kind`, `binary`, `service`, `platform`, `default`, `all`, `none` (hint: did you mean `test`?)
    unknown predicate `pakage`
      tst(foo) and pakage(shop) - pkg(x) | xyz(a)
                   ^^^^^^ expected one of `test`, `package`, `deps`, `rdeps`, `binary_id`, `kind`, `binary`, `service`, `platform`, `default`, `all`, `none` (hint: did you mean `package`?)
    unknown predicate `pkg`
      tst(foo) and pakage(shop) - pkg(x) | xyz(a)
                                  ^^^ expected one of `test`, `package`, `deps`, `rdeps`, `binary_id`, `kind`, `binary`, `service`, `platform`, `default`, `all`, `none`
    unknown predicate `xyz`
      tst(foo) and pakage(shop) - pkg(x) | xyz(a)
                                           ^^^ expected one of `test`, `package`, `deps`, `rdeps`, `binary_id`, `kind`, `binary`, `service`, `platform`, `default`, `all`, `none`
    ");
}

#[test]
fn a_word_alone_is_no_predicate() {
    insta::assert_snapshot!(error("orders::list"), @"
    `orders::list` is not a predicate
      orders::list
      ^^^^^^^^^^^^ expected a predicate (hint: `test(orders::list)` selects by the test's name)
    ");
}

#[test]
fn a_predicate_wants_its_parentheses() {
    insta::assert_snapshot!(error("all | test foo"), @"
    no `(` after `all`
      all | test foo
         ^ expected `(`
    no `(` after `test`
      all | test foo
                ^ expected `(`
    ");
    insta::assert_snapshot!(error("(test(a) | (package(b"), @"
    a `(` is not closed
      (test(a) | (package(b
                           ^ expected `)`
    ");
    insta::assert_snapshot!(error("test(a)) & none()"), @"
    a `)` closes nothing
      test(a)) & none()
             ^ expected an operator or the end
    ");
}

#[test]
fn operators_want_operands_on_both_sides() {
    insta::assert_snapshot!(error(""), @"
    an expression is missing

      ^ expected a predicate, `not` or `(`
    ");
    insta::assert_snapshot!(error("& test(a) or and () -"), @"
    an expression is missing
      & test(a) or and () -
      ^ expected a predicate, `not` or `(`
    an expression is missing
      & test(a) or and () -
                   ^ expected a predicate, `not` or `(`
    an expression is missing
      & test(a) or and () -
                        ^ expected a predicate, `not` or `(`
    an expression is missing
      & test(a) or and () -
                           ^ expected a predicate, `not` or `(`
    ");
    insta::assert_snapshot!(error("test(a) test(b) not test(c)"), @"
    an operator is missing
      test(a) test(b) not test(c)
              ^ expected `&`, `|` or `-`
    an operator is missing
      test(a) test(b) not test(c)
                      ^ expected `&`, `|` or `-`
    ");
}

#[test]
fn the_operators_of_other_languages_are_translated() {
    insta::assert_snapshot!(error("all() && none() || NOT all() AND all() OR none()"), @"
    `&&` is not an operator
      all() && none() || NOT all() AND all() OR none()
            ^^ expected `&` or `and`
    `||` is not an operator
      all() && none() || NOT all() AND all() OR none()
                      ^^ expected `|`, `+` or `or`
    `NOT` is not an operator
      all() && none() || NOT all() AND all() OR none()
                         ^^^ expected `not` or `!`
    `AND` is not an operator
      all() && none() || NOT all() AND all() OR none()
                                   ^^^ expected `&` or `and`
    `OR` is not an operator
      all() && none() || NOT all() AND all() OR none()
                                             ^^ expected `|`, `+` or `or`
    ");
}

#[test]
fn arguments_are_checked() {
    insta::assert_snapshot!(error("all(x) | test() | kind(=) | package(a, b) | test(/a/b)"), @r"
    `all` takes no argument
      all(x) | test() | kind(=) | package(a, b) | test(/a/b)
          ^ expected nothing
    a name is missing
      all(x) | test() | kind(=) | package(a, b) | test(/a/b)
                    ^ expected a name
    a name is missing
      all(x) | test() | kind(=) | package(a, b) | test(/a/b)
                              ^ expected a name
    a second argument
      all(x) | test() | kind(=) | package(a, b) | test(/a/b)
                                           ^ expected `)` (hint: a comma of a name is written `\,`)
    the argument does not end here
      all(x) | test() | kind(=) | package(a, b) | test(/a/b)
                                                          ^ expected `)` (hint: a slash of a regular expression is written `\/`)
    ");
    insta::assert_snapshot!(error("platform(linux)"), @"
    `linux` is not a platform
      platform(linux)
               ^^^^^ expected `host` or `target`
    ");
}

#[test]
fn wrong_escapes_are_all_told() {
    insta::assert_snapshot!(error(r"package(a\*b\$) | test(\u{110000}) | test(a\"), @r"
    `\*` is not an escape sequence
      package(a\*b\$) | test(\u{110000}) | test(a\
               ^^ expected `\n`, `\r`, `\t`, `\\`, `\/`, `\)`, `\,` or `\u{…}` (hint: a backslash of a name is written `\\`, a star of a glob `[*]`)
    `\$` is not an escape sequence
      package(a\*b\$) | test(\u{110000}) | test(a\
                  ^^ expected `\n`, `\r`, `\t`, `\\`, `\/`, `\)`, `\,` or `\u{…}` (hint: a backslash of a name is written `\\`, a star of a glob `[*]`)
    `\u` is not an escape sequence
      package(a\*b\$) | test(\u{110000}) | test(a\
                             ^^ expected `\n`, `\r`, `\t`, `\\`, `\/`, `\)`, `\,` or `\u{…}` (hint: a backslash of a name is written `\\`, a star of a glob `[*]`)
    `\` is not an escape sequence
      package(a\*b\$) | test(\u{110000}) | test(a\
                                                 ^ expected `\n`, `\r`, `\t`, `\\`, `\/`, `\)`, `\,` or `\u{…}` (hint: a backslash of a name is written `\\`, a star of a glob `[*]`)
    a `(` is not closed
      package(a\*b\$) | test(\u{110000}) | test(a\
                                                  ^ expected `)`
    ");
}

#[test]
fn patterns_that_do_not_compile_say_why() {
    insta::assert_snapshot!(error("package(/foo(ab/) | binary(#a[) | test(/a) | kind(#{x)"), @"
    not a regular expression: unclosed group
      package(/foo(ab/) | binary(#a[) | test(/a) | kind(#{x)
               ^^^^^^ in this regular expression
    not a glob: unclosed character class; missing ']'
      package(/foo(ab/) | binary(#a[) | test(/a) | kind(#{x)
                                  ^^ in this glob
    the regular expression is not closed
      package(/foo(ab/) | binary(#a[) | test(/a) | kind(#{x)
                                               ^ expected `/`
    not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
      package(/foo(ab/) | binary(#a[) | test(/a) | kind(#{x)
                                                         ^^ in this glob
    ");
}

#[test]
fn groups_are_refused() {
    insta::assert_snapshot!(error("group(serial) | test(a)"), @"
    `group` is not supported: clnrm has no test groups
      group(serial) | test(a)
      ^^^^^ expected a predicate (hint: `service(...)` selects tests by what they need)
    ");
}

#[test]
fn the_default_cannot_mean_itself() {
    let error = Filter::parse_default("all() - default()").unwrap_err();
    insta::assert_snapshot!(error, @"
    `default()` cannot be used to say what the default is
      all() - default()
              ^^^^^^^ it would mean itself
    ");
}

#[test]
fn too_deep_is_said_once() {
    let expression = format!("{}all()", "(".repeat(130));
    let error = error(&expression).replace(&"(".repeat(120), "(…");
    insta::assert_snapshot!(error.replace(&" ".repeat(120), "  "), @"
    nested too deeply
      (…((((((((((all()
                 ^ the limit is passed here
    ");
}

#[test]
fn the_mark_is_under_the_line_it_means() {
    insta::assert_snapshot!(error("test(é)\n  &\ttset(ü)\n  | none()"), @"
    unknown predicate `tset`
        & tset(ü)
          ^^^^ expected one of `test`, `package`, `deps`, `rdeps`, `binary_id`, `kind`, `binary`, `service`, `platform`, `default`, `all`, `none` (hint: did you mean `test`?)
    ");
}
