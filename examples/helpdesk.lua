-- A help desk: mail to support becomes tickets, through a webhook; what must never become one is kept away from it.
--
--   mailruled check -c helpdesk.lua
--   mailruled explain -c helpdesk.lua helpdesk/*.eml

account "support" {
  host        = "imap.example.com",
  user        = "support@example.com",
  password    = secret.credential "imap-password",       -- systemd: LoadCredential=imap-password:/etc/...
  watch       = { "INBOX" },
  connections = 1,
}

-- Where tickets go. What cannot be delivered is kept and tried again for three days, then listed by `mailruled queue`.
webhook "desk" {
  url      = "https://desk.example.com/api/mail",
  secret   = secret.credential "desk-key",               -- whsec_...: the receiver verifies our signature with it
  headers  = { ["X-Team"] = "support" },
  include  = { "text", "html", "attachments" },
  max_size = "20MB",                                     -- attachments are left out where they do not fit
  timeout  = "30s",
}

-- A chat channel that wants another body. A payload function only looks at the message.
webhook "chat" {
  url     = "https://chat.example.com/hooks/4711",
  retries = { "5s", "1m" },                              -- not worth more
  payload = function(msg)
    return { text = "Complaint: " .. msg.subject .. " (" .. msg.from.address .. ")" }
  end,
}

-- Spam is no ticket.
local spam = require "mailruled.spam"
spam {
  account = "support",
  score   = 8,
  never   = { "partner.example" },
}

-- Who pays for it gets an answer at night too. The list is a file, one address or domain a line. A rule that only flags
-- is not the last: the ones below see the message as well.
rule "urgent" {
  account = "support",
  when    = ~is_auto & from:in_file "helpdesk/premium.txt" & subject:regex [[(?i)\b(urgent|down|outage)\b]],
  actions = { flag("\\Flagged", "Urgent") },
}

-- Complaints about us go to people, not into tickets. The move waits until the chat has accepted.
rule "abuse" {
  account = "support",
  when    = recipient:address "abuse@example.com" & ~is_auto,
  actions = { post "chat", move "Abuse" },
}

-- Posts to the webhook, and moves once it was accepted. Nothing that a program sent gets through, nor more than 20
-- tickets an hour from one sender; see the top of rules/helpdesk.lua for all options.
local helpdesk = require "mailruled.helpdesk"
helpdesk {
  account = "support",
  webhook = "desk",
  address = { "support@example.com", "help@example.com" },
  folder  = "Tickets",
}
