#!/bin/sh
# One suite on every server that Debian has: Dovecot, Cyrus (in two layouts), Courier, GNU Mailutils' imap4d (Maildir, mbox).
# SERVERS names some of them only. What a server offers is compared with docs/servers.md; ONLY is a part of a case's name.
. "$(dirname "$0")/_side_by_side.sh"
# shellcheck disable=SC2086
side_by_side "$TESTS/servers/_every_server.sh" ${SERVERS:-dovecot cyrus cyrus-dots courier imap4d imap4d-mbox}
