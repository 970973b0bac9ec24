#!/bin/sh
# Flags or a configuration file alone mean redis-server, which runs as `redis` where it is started as root.
set -eu

case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac

# Whether an argument, or the configuration file that an argument names, says something of protected mode.
sets_protected_mode() {
    for argument; do
        case $argument in
            --protected-mode) return 0 ;;
            *.conf) if grep -Eiqs '^[[:space:]]*protected-mode[[:space:]]' "$argument"; then return 0; fi ;;
        esac
    done
    return 1
}

if [ "${1:-}" = redis-server ]; then
    if [ "$(id -u)" = 0 ]; then
        find . ! -user redis -exec chown redis '{}' +
        export HOME=/data
        exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
    fi
    # The official image turns protected mode off by default: other containers may connect without a password.
    case " $* " in
        *" --version "* | *" -v "* | *" --help "* | *" -h "* | *" --test-memory "*) ;;
        *) sets_protected_mode "$@" || set -- "$@" --protected-mode no ;;
    esac
fi
exec "$@"
