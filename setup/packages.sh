#!/bin/sh
# Looks for what Guestfarm needs of the operating system; installs what is missing where there is apt-get.
# usage: packages.sh PYTHON PACKAGE:PROGRAM...   (Debian's package, and a program or absolute file name in it)
set -eu

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

python=$1
shift

check='import sys, importlib.util as u; sys.exit(2 if sys.version_info < (3, 11) else u.find_spec("ensurepip") is None)'
status=0
"$python" -c "$check" 2>/dev/null || status=$?
case $status in
    0) no_ensurepip= ;;
    1) no_ensurepip=yes ;; # Debian has it in a package of its own
    2) fail "$python is $("$python" --version). Guestfarm needs 3.11 or newer; if there is one: make PYTHON=name" ;;
    *) fail "$python: not found. Guestfarm needs Python 3.11 or newer; if it has another name: make PYTHON=name" ;;
esac

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # ordinary users of Debian have not got these in theirs

if command -v apt-get >/dev/null; then
    packages=$(printf '%s\n' "$@" | cut -d: -f1)
    # One word each, and no quotes: $packages is a list. Packages unknown to dpkg are missing, too.
    installed=$(dpkg-query -W -f '${Package}:${db:Status-Status} ' $packages 2>/dev/null || :)
    missing=${no_ensurepip:+" ${python##*/}-venv"}
    for package in $packages; do
        case " $installed" in
            *" $package:installed "*) ;;
            *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || exit 0

    # A failed update is no reason to stop: perhaps it was somebody else's repository, or the lists are new enough.
    install="apt-get update; apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        echo "$install"
        DEBIAN_FRONTEND=noninteractive sh -c "$install"
    elif sudo -n true 2>/dev/null; then
        echo "sudo sh -c '$install'"
        sudo -n env DEBIAN_FRONTEND=noninteractive sh -c "$install"
    elif command -v sudo >/dev/null; then
        fail 'Some Debian packages are missing. Please run this, then make again:' "    sudo sh -c '$install'"
    else
        fail 'Some Debian packages are missing. Please run this, then make again:' "    su - -c '$install'"
    fi
else
    missing=${no_ensurepip:+", ensurepip for $python"}
    for pair; do
        program=${pair#*:}
        case $program in
            /*) [ -e "$program" ] || missing="$missing, $program" ;;
            *) command -v "$program" >/dev/null || missing="$missing, $program" ;;
        esac
    done
    [ -z "$missing" ] || fail "Missing, and there is no apt-get to install it: ${missing#, }"
fi
