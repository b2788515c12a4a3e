#!/bin/sh
# A backlog of BENCH_MESSAGES messages and 20 header rules: a quarter of the messages moves into ten folders by the
# sender's domain, a quarter gets one of nine keywords by a word of the subject, one in twenty is spam. Times are from
# the opening of the connection to the last answer, all of them through the same proxy.
#
# The floor is a client that knows the answer: it sends one FETCH of the same items and all moves and stores at once.
# imapfilter fetches each field of each message on its own, so it gets BENCH_PEER_MESSAGES of them, and times are
# compared a message.
. "$(dirname "$0")/_lib.sh"
messages=${BENCH_MESSAGES:-10000}
peer_messages=${BENCH_PEER_MESSAGES:-500}
runs=${BENCH_RUNS:-3}

# --- mail -------------------------------------------------------------------------------------------------------------

mbox() { # COUNT: about 2 KB each
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < 12; i++) filler = filler "A line of the text of a message that nobody reads, to give it a size that mail has, number " i ".\n"
        for (i = 0; i < n; i++) {
            turn = i % 20
            domain = turn < 5 ? "d" int(i / 20) % 10 ".example" : "elsewhere" i % 97 ".example"
            word = turn >= 5 && turn < 10 ? " topic" int(i / 20) % 9 + 1 : ""
            print "From sender@example.net Sun Nov 22 10:00:00 2026"
            for (k = 0; k < 3; k++) printf "Received: from relay%d.example.net (relay%d.example.net [192.0.2.%d]) by mx.example.com with ESMTPS\n id %08x; Sun, 22 Nov 2026 10:00:00 +0000\n", k, k, k + 1, i * 7919 + k
            printf "From: Sender %d <sender%d@%s>\nTo: Somebody <somebody@example.com>\nSubject: Message %d%s of the backlog\n", i, i, domain, i, word
            printf "Date: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <backlog-%d@%s>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n", i, domain
            if (turn == 10) print "X-Spam-Flag: YES"
            print "\n" filler
        }
    }'
}

doveadm_here() { doveadm -c "$dir/server/dovecot.conf" "$@"; }

# A mailbox of COUNT messages in $dir/snapshot.COUNT, as warm as a server is whose other clients read the headers.
snapshot() { # COUNT USER
    mkdir -p "$dir/empty" && chmod 777 "$dir/empty"
    mbox "$1" >"$dir/empty/mbox"
    chmod 666 "$dir/empty/mbox"
    for f in D0 D1 D2 D3 D4 D5 D6 D7 D8 D9; do doveadm_here mailbox create -u "$2" "$f"; done
    doveadm_here import -u "$2" -U "$2" mbox:"$dir/empty":INBOX="$dir/empty/mbox" "" ALL || return 1
    imap_as "$2" 'SELECT INBOX' "UID FETCH 1:* ($items)" >/dev/null
    cp -a "$dir/server/mail/$2" "$dir/snapshot.$1"
    rm "$dir/empty/mbox"
}
imap_as() { who=$1; shift; "$TOOLS/imap_do" "$IMAP_PORT" "$who" secret "$@"; }

# What the daemon asks for with these rules.
items='UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM MESSAGE-ID SUBJECT TO X-SPAM-FLAG)]'

restore() { # COUNT warm|cold: a fresh mailbox for $user
    rm -rf "$mail"
    cp -a "$dir/snapshot.$1" "$mail"
    [ "$2" = warm ] || find "$mail" -name dovecot.index.cache -delete
}

# --- the clients ------------------------------------------------------------------------------------------------------

floor_commands() { # COUNT
    printf 'SELECT INBOX\nUID FETCH 1:* (%s)\n' "$items"
    awk -v n="$1" 'BEGIN {
        for (i = 0; i < n; i++) {
            turn = i % 20
            if (turn < 5) key = "UID MOVE @ D" int(i / 20) % 10
            else if (turn < 10) key = "UID STORE @ +FLAGS.SILENT (Topic" int(i / 20) % 9 + 1 ")"
            else if (turn == 10) key = "UID MOVE @ Junk"
            else continue
            if (!(key in sets)) order[++keys] = key
            if (++size[key] > 100) { send(key) }
            sets[key] = sets[key] (sets[key] == "" ? "" : ",") (i + 1)
        }
        for (k = 1; k <= keys; k++) send(order[k])
    }
    function send(key,  line) { line = key; sub("@", sets[key], line); print line; sets[key] = ""; size[key] = 1 }'
}

run_floor() { # COUNT
    floor_commands "$1" >"$box/commands"
    "$TOOLS/imap_floor" "$port" "$user" secret "$box/commands"
}

run_ours() { # COUNT
    config 'watch = { "INBOX" }, backlog = "all"' <<'CONFIG'
for i = 0, 9 do rule("d" .. i) { when = from:domain("d" .. i .. ".example"), actions = { move("D" .. i) } } end
for i = 1, 9 do rule("topic" .. i) { when = subject:contains("topic" .. i), actions = { flag("Topic" .. i) } } end
rule "spam" { when = header"X-Spam-Flag":is "YES", actions = { junk() } }
CONFIG
    "$MAILRULED" run 2>>"$log" &
    daemon=$!
    remember "$daemon"
    wait_for 300 all_done "$1" || { end "$daemon"; return 1; }
    spent=$(reaped)
    end "$daemon"
    spent=$(calc "($(reaped) - $spent) / $(getconf CLK_TCK)" %.2f)
}

# Clock ticks of CPU of the children that this shell has waited for, and of theirs.
reaped() { awk '{ print $16 + $17 }' "/proc/$$/stat"; }

peer_head() {
    cat <<CONFIG
options.info = false
options.starttls = false
options.timeout = 300
account = IMAP { server = '127.0.0.1', port = $port, username = '$user', password = 'secret' }
inbox = account.INBOX
CONFIG
}

run_client() { # imapfilter: fetches the fields and matches them
    { peer_head; cat <<'CONFIG'; } >"$box/peer.lua"
all = inbox:select_all()
for i = 0, 9 do
    local found = inbox:match_from('@d' .. i .. '\\.example', all)
    found:move_messages(account['D' .. i])
    all = all - found
end
for i = 1, 9 do inbox:match_subject('topic' .. i, all):add_flags({ 'Topic' .. i }) end
inbox:match_field('X-Spam-Flag', '^YES', all):move_messages(account.Junk)
CONFIG
    peer
}

run_server() { # imapfilter: lets the server search
    { peer_head; cat <<'CONFIG'; } >"$box/peer.lua"
for i = 0, 9 do inbox:contain_from('@d' .. i .. '.example'):move_messages(account['D' .. i]) end
for i = 1, 9 do inbox:contain_subject('topic' .. i):add_flags({ 'Topic' .. i }) end
inbox:contain_field('X-Spam-Flag', 'YES'):move_messages(account.Junk)
CONFIG
    peer
}

# --- measuring --------------------------------------------------------------------------------------------------------

counted() {
    doveadm_here mailbox status -u "$user" messages 'D*' Junk INBOX |
        awk '{ sub("messages=", "", $2); print $1, $2 }'
}

keywords='('
for k in 1 2 3 4 5 6 7 8 9; do keywords="$keywords KEYWORD Topic$k OR"; done
keywords="${keywords% OR} )"

# Is everything where it belongs? COUNT divides by 20.
right() {
    counted >"$box/counts"
    awk -v n="$1" '/^D/ { d += $2 } /^Junk/ { j = $2 } /^INBOX/ { i = $2 } END { exit !(d == int(n / 4) && j == int(n / 20) && i == n - d - j) }' "$box/counts" || return 1
    [ "$(doveadm_here search -u "$user" mailbox INBOX $keywords | wc -l)" -eq $(($1 / 4)) ]
}

# Silent for two seconds, and everything is right.
all_done() {
    a=$(stat -c %s "$box/wire")
    sleep 1
    [ "$a" -gt 3000 ] && [ "$(stat -c %s "$box/wire")" = "$a" ] && right "$1"
}

# From the opening of the (first) connection to the last thing the server said before the client left.
elapsed() {
    awk '$3 == "+" && !began { began = $1 }
         $3 == "C" && /LOGOUT/ && !/SELECT/ { exit }
         $3 == "C" && /^[^ ]+ [0-9]+ C [0-9]+ DONE/ { left = last }
         $3 == "S" { last = $1 }
         END { print (left ? left : last) - began }' "$box/wire"
}

# one WHO COUNT warm|cold DELAY: sets $seconds
one() {
    fresh
    restore "$2" "$3" || return 1
    start_proxy -d $(($4 / 2)) || return 1
    "run_$1" "$2" || return 1
    right "$2" || { cat "$box/counts" >&2; return 1; }
    seconds=$(elapsed)
    [ -z "${KEEP:-}" ] || { cp "$box/wire" "/tmp/wire.$1.$3.$4"; cp "$log" "/tmp/log.$1"; }
    end "$proxy"
    rm -rf "$mail"
}

compare() { # warm|cold DELAY
    : >"$dir/ours"; : >"$dir/floor"; : >"$dir/ratio"
    run=0
    while [ "$run" -lt "$runs" ]; do
        one floor "$messages" "$1" "$2" || return 1
        f=$seconds
        one ours "$messages" "$1" "$2" || return 1
        o=$seconds
        echo "$f" >>"$dir/floor"; echo "$o" >>"$dir/ours"; echo "$(calc "$o / $f" %.2f)" >>"$dir/ratio"
        run=$((run + 1))
    done
    o=$(median <"$dir/ours")
    row "$messages messages, $1, $2 ms: mailruled" "" "$(calc "$o" %.2f) s"
    row "  its CPU, evaluators included" "" "$spent s"
    row "$messages messages, $1, $2 ms: floor" "" "$(calc "$(median <"$dir/floor")" %.2f) s"
    row "  mailruled / floor" "<= 3" "$(median <"$dir/ratio")"
    [ "$1" = warm ] || return 0
    one client "$peer_messages" "$1" "$2" || return 1
    c=$seconds
    row "$peer_messages messages, $1, $2 ms: imapfilter, matching in the client" "" "$(calc "$c" %.2f) s"
    want=">= 5"
    [ "$2" -eq 0 ] || want=">= 30"
    row "  a message, imapfilter in the client / mailruled" "$want" "$(calc "($c / $peer_messages) / ($o / $messages)")"
    one server "$messages" "$1" "$2" || return 1
    c=$seconds
    row "$messages messages, $1, $2 ms: imapfilter, searching on the server" "" "$(calc "$c" %.2f) s"
    row "  imapfilter on the server / mailruled" "" "$(calc "$c / $o" %.2f)"
}

MAIL_FORMAT=${MAIL_FORMAT:-mdbox}
export MAIL_FORMAT
start_server 80
snapshot "$messages" user79 || { row backlog "" "no mail: FAILED"; exit 1; }
snapshot "$peer_messages" user80 || exit 1
for what in ${BENCH_WHAT:-warm:0 cold:0 warm:20}; do
    compare "${what%:*}" "${what#*:}" 2>"$dir/complaints" || {
        row "backlog $what" "" FAILED
        cat "$dir/complaints" "$box/peer.out" 2>/dev/null | tail -n 8
        tail -n 5 "$log" | cut -c 1-200
        failures=1
    }
    end_processes
done
finish
