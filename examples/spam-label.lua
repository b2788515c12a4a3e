-- Spam: believe the filter of our own server, label what looks wrong, and delete nothing.
--
--   mailruled check -c spam-label.lua
--   mailruled explain -c spam-label.lua spam-label/*.eml

defaults {
  on_error = "skip",                                     -- a rule that fails for a message must not hold up the others
}

account "office" {
  host     = "imap.example.com",
  user     = "office@example.com",
  password = secret.env "OFFICE_PASSWORD",
  watch    = { "INBOX" },
  backlog  = "7d",                                       -- at the first start: also what came in the last week
}

-- Our own people and those of the list are never touched. `stop` ends all rules for the message.
rule "friends" {
  when    = from:in_file "spam-label/friends.txt"
          & header "Authentication-Results":regex [[^mx\.example\.com;.*\bdmarc=pass\b]],
  actions = { stop },
}

-- X-Spam-Flag and the like; a score from 8 on; a failed DMARC, but only as our own server saw it.
local spam = require "mailruled.spam"
spam {
  authserv = "mx.example.com",
  score    = 8,
}

-- What remains is labelled: keywords that every mail program can show or search for.
rule "half a spam" {
  when = header "X-Spam-Score":exists(),
  run  = function(msg)
    local score = tonumber(msg:header "X-Spam-Score")
    if score and score >= 4 then
      msg:flag "Suspicious"
    end
  end,
}

rule "programs attached" {
  when    = attachment.name:regex [[(?i)\.(exe|scr|js|vbs|lnk|iso|docm|xlsm)$]],
  actions = { flag("Suspicious", "Program"), move "Held" },
}

-- Our name, but not our address.
rule "pretends to be us" {
  when    = from:regex [[(?i)\bexample inc\b]] & ~from:domain { "example.com", "*.example.com" },
  actions = { flag("Suspicious", "Impostor") },
}

-- On trial: what it would do is logged, and shown by explain, but not done.
rule "links to addresses without a name" {
  dry_run = true,
  when    = body:regex [[https?://\d{1,3}(\.\d{1,3}){3}\b]],
  actions = { junk },
}
