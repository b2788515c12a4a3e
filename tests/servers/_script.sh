# Sourced behind _lib.sh: the daemon against a dialogue (tests/dialog/README.md), from its login on.
# dialogue CAPABILITIES: login and all that is the same each time are answered by themselves; standard input is the
# rest, which begins with the daemon in IDLE on an empty INBOX. $script_header: more lines of the header.
dialogue() {
    cat <<EOT
tls: none
${script_header:-}
---
on <t> CAPABILITY
S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR IDLE NAMESPACE UNSELECT ESEARCH $1
S: <t> OK done
end
on <t> AUTHENTICATE PLAIN ...
S: <t> OK welcome
end
on <t> ID ...
S: * ID NIL
S: <t> OK done
end
on <t> NAMESPACE
S: * NAMESPACE (("" "/")) NIL NIL
S: <t> OK done
end
on <t> LIST ...
S: * LIST () "/" INBOX
S: * LIST () "/" Done
S: <t> OK done
end
on <t> SELECT INBOX
S: * FLAGS (\\\\Answered \\\\Flagged \\\\Deleted \\\\Seen \\\\Draft)
S: * OK [PERMANENTFLAGS (\\\\Answered \\\\Flagged \\\\Deleted \\\\Seen \\\\Draft)] no keywords
S: * 0 EXISTS
S: * OK [UIDVALIDITY 7] UIDs valid
S: * OK [UIDNEXT 10] next
S: <t> OK [READ-WRITE] selected
end
on <t> UID SEARCH RETURN (ALL) UID 1:...
S: * ESEARCH (TAG "<t>") UID
S: <t> OK nothing is there any more
end
on <t> STATUS Done ...
S: * STATUS Done (UIDNEXT 5 UIDVALIDITY 4)
S: <t> OK done
end
on <i> IDLE
S: + idling
end
on DONE
S: <i> OK done
end
S: * OK ready
EOT
    cat
    cat <<EOT
C: <t> LOGOUT
S: * BYE bye
S: <t> OK bye
EOT
}

# data UID NAME [SUBJECT]: what the daemon fetches of a new message.
data() {
    printf 'S-: * 1 FETCH (UID %s FLAGS () INTERNALDATE "22-Nov-2026 10:00:00 +0000" RFC822.SIZE 500' "$1"
    printf '%s\n' ' BODY[HEADER.FIELDS (DATE FROM MESSAGE-ID SUBJECT TO)] ' \
        "L: From: a@b.example\\r\\nSubject: ${3:-one}\\r\\nMessage-ID: <$2@test>\\r\\n\\r\\n" 'S: )'
}

# One message arrives, UID 10.
arrival="C: <i> IDLE
S: + idling
S: * 1 EXISTS
C: <t> UID FETCH 10:* ...
$(data 10 one)
S: <t> OK done"

# A new connection finds it where it was.
reconnected='reconnect
S: * OK ready again
C: <t> SELECT INBOX
S: * 1 EXISTS
S: * OK [UIDVALIDITY 7] UIDs valid
S: * OK [UIDNEXT 11] next
S: <t> OK [READ-WRITE] selected'

play() { # CAPABILITIES; the dialogue on standard input; then the daemon runs on it
    dialogue "$1" >"$box/dialogue"
    "$TOOLS/imap_script" "$box/dialogue" >"$box/script_port" 2>"$box/script.err" &
    script=$!
    remember "$script"
    wait_for 10 test -s "$box/script_port" || return 1
    port=$(cat "$box/script_port")
}

# The dialogue is over when the daemon has gone.
followed() {
    stop_daemon || return 1
    wait "$script" || { cat "$box/script.err"; return 1; }
}
begun() { wait_for 20 logged "$1" || { cat "$box/script.err"; return 1; }; }
queue_is_empty_behind() { begun "$1" && wait_for 20 queue_is_empty; }

move_rule() {
    config '' <<'EOT'
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
}
