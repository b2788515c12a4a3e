# One scenario: eight messages, five rules, a webhook. Sourced after _lib.sh, start_server and start_sink hooks.
# shellcheck shell=sh
user_n=0

write_config() { # VARIANT; in "copy" the server has no MOVE
    extensions=''
    [ "$1" != copy ] || extensions='disable_extensions = { "MOVE" },'
    cat >"$dir/config/$1.lua.in" <<END
account "a" {
  host = "127.0.0.1", port = $IMAP_PORT, tls = "none", user = "@USER@", password = secret.file "password",
  watch = { "INBOX" }, backlog = "all", $extensions
}
webhook "desk" { url = "http://127.0.0.1:$port/", allow_private = true }
local case = header"X-Case"
rule "post" { when = case:is "post", actions = { post "desk", move "Posted" } }
rule "move" { when = case:is "move", actions = { move "Moved" } }
rule "flag" { when = case:is "flag", actions = { flag { "\\\\Flagged", "Urgent" }, move "Flagged" } }
rule "copy" { when = case:is "copy", actions = { copy "Copied" } }
rule "all"  { when = case:is "all", actions = { flag "Seen-by-us", copy "Copied", post "desk", move "Moved" } }
END
}

fresh_user() {
    user_n=$((user_n + 1))
    user=user$user_n
    n=0
    for case in post move flag copy none all move copy; do
        n=$((n + 1))
        drop_into "$user" "$n" "$case"
    done
    sed "s/@USER@/$user/" "$dir/config/$variant.lua.in" >"$dir/config/config.lua"
    rm -rf "$dir/state"
}

hooks_of() { grep " $1 [0-9]*\$" "$dir/hooks"; }

# snapshot NAME: what became of $user's mail, and which events were posted for which message under how many ids.
snapshot() {
    mailbox "$user" >"$dir/$1"
    hooks_of "$user" | awk '{print $4, $6}' | sort -u >"$dir/$1.hooks"
    hooks_of "$user" | awk '{print $2}' | sort -u | grep -c . >"$dir/$1.ids"
}

# as_wanted TEXT: as snapshot `want`?
as_wanted() {
    snapshot got
    cmp -s "$dir/want" "$dir/got" && cmp -s "$dir/want.hooks" "$dir/got.hooks" &&
        cmp -s "$dir/want.ids" "$dir/got.ids" &&
        return 0
    fail "$1"
    diff "$dir/want" "$dir/got"
    diff "$dir/want.hooks" "$dir/got.hooks"
    hooks_of "$user"
    for log in "$dir"/log.*; do echo "--- $log"; cat "$log"; done
    return 1
}

# What the rules say: eight messages, three of them in two folders, two events.
want_is_right() {
    [ "$(grep -c . "$dir/want")" -eq 11 ] && [ "$(grep -c . "$dir/want.hooks")" -eq 2 ] &&
        [ "$(cat "$dir/want.ids")" -eq 2 ] &&
        return 0
    fail "the undisturbed run did something else"
    cat "$dir/want" "$dir/want.hooks" "$dir/want.ids" "$dir"/log.*
    return 1
}
