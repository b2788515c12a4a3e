#!/bin/sh
# COMPRESS=DEFLATE on the real servers that have it, Dovecot (with its plugin) and Cyrus; the cases are in _compress.sh.
# SERVERS names one of them only; ONLY is a part of a case's name.
. "$(dirname "$0")/_side_by_side.sh"
# shellcheck disable=SC2086
side_by_side "$TESTS/servers/_compress.sh" ${SERVERS:-dovecot cyrus}
