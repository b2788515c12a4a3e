#!/bin/sh
# check and explain against a real server: they log in and read, and change nothing.
. "$(dirname "$0")/_lib.sh"
start_server 1
umask 077
cat >"$dir/config.lua" <<END
account "a" {
  host = "127.0.0.1", port = $IMAPS_PORT, tls_ca = "$CA", user = "user1", password = "secret",
  watch = { "INBOX", "Nope" },
}
rule "body" { when = text:contains "needle", actions = { flag "Found" } }
END
cat >"$dir/m.eml" <<END
From: a@example.org
Subject: hay
Message-ID: <hay@example.org>

a needle
END
"$TOOLS/lmtp" "$LMTP_PORT" user1 "$dir/m.eml"
bad=0
verdict() { # NAME STATUS
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAIL $1"; cat "$dir/out"; bad=1; fi
}
before=$(find "$dir/server/mail/user1" -name '*,S=*' | sort)

"$MAILRULED" check -c "$dir/config.lua" >"$dir/out" 2>&1
[ $? -eq 1 ] && grep -q 'config.lua:1: .*"Nope", which is not there' "$dir/out"
verdict check_names_a_watched_folder_that_is_missing $?

sed 's/, "Nope"//' "$dir/config.lua" >"$dir/good.lua"
"$MAILRULED" check -c "$dir/good.lua" >"$dir/out" 2>&1 && grep -q 'logged in' "$dir/out"
verdict check_logs_in $?

sed 's/"secret"/"wrong"/' "$dir/good.lua" >"$dir/wrong.lua"
"$MAILRULED" check -c "$dir/wrong.lua" >"$dir/out" 2>&1
[ $? -eq 1 ] && grep -q 'wrong.lua:1: .*AUTHENTICATIONFAILED' "$dir/out" && ! grep -q '"wrong"\|^ok:' "$dir/out"
verdict check_tells_refused_credentials_in_the_servers_words $?

"$MAILRULED" explain -c "$dir/good.lua" --json imap:a/INBOX/1 >"$dir/out" 2>&1 &&
    grep -q '"source": "imap:a/INBOX/1"' "$dir/out" && grep -q '"flags": \["Found"\]' "$dir/out"
verdict explain_reads_a_message_on_the_server $?

"$MAILRULED" explain -c "$dir/good.lua" imap:a/INBOX/99 >"$dir/out" 2>&1
[ $? -eq 1 ] && grep -q 'no message with this UID' "$dir/out"
verdict explain_names_a_message_that_is_not_there $?

"$MAILRULED" folders -c "$dir/good.lua" a >"$dir/out" 2>&1 && grep -q '1 .*INBOX' "$dir/out" &&
    grep -q 'Junk' "$dir/out"
verdict folders_are_listed_with_counts $?

[ "$before" = "$(find "$dir/server/mail/user1" -name '*,S=*' | sort)" ]
verdict nothing_was_changed $?
exit "$bad"
