-- Globals that mailruled gives to its configuration and rules; see rules/meta/mailruled.lua.
std = "lua54"
max_line_length = 120
read_globals = {
  -- fields and conditions
  "from", "to", "cc", "bcc", "reply_to", "sender", "recipient", "subject", "list_id", "text", "body", "attachment",
  "size", "age", "is_auto", "is_bounce", "is_list", "is_reply", "is_encrypted", "is_signed", "header", "has_flag",
  "all", "any", "none",
  -- actions
  "move", "copy", "flag", "unflag", "post", "delete", "junk", "archive", "stop", "label", "append", "forward", "reply",
  "pipe", "save", "notify",
  -- configuration
  "account", "webhook", "rule", "every", "include", "defaults", "state", "control", "metrics", "secret",
  -- libraries
  "re", "json", "log", "kv", "http", "time",
}
exclude_files = { "rules/meta" }
