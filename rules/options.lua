-- Options of the shipped rule sets: known names, right types, defaults.
--
--   local options = require "mailruled.options"
--   local o = options.read("mailruled.spam", given, {
--     folder = { "string", "Junk" },      -- type, default
--     webhook = { "string" },             -- no default: must be given
--     lists = { "table", nil, optional = true },
--   })
--
-- Mistakes are raised at the line that called the rule set.

local options = {}

local function known_names(known)
  local names = {}
  for name in pairs(known) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

function options.read(set, given, known)
  local result = {}
  given = given == nil and {} or given
  if type(given) ~= "table" then
    error(set .. " takes a table of options, not a " .. type(given), 3)
  end
  for name in pairs(given) do
    if known[name] == nil then
      error(set .. " has no option '" .. tostring(name) .. "'; it has " .. known_names(known), 3)
    end
  end
  for name, spec in pairs(known) do
    local value = given[name]
    if value == nil then
      value = spec[2]
      if value == nil and not spec.optional then
        error(set .. " needs the option '" .. name .. "'", 3)
      end
    elseif type(value) ~= spec[1] and not (value == false and spec.may_be_false) then
      error(set .. ": option '" .. name .. "' must be a " .. spec[1] .. ", not a " .. type(value), 3)
    end
    result[name] = value
  end
  return result
end

-- A string or a list of strings, as a list.
function options.list(value)
  if value == nil then
    return {}
  end
  return type(value) == "table" and value or { value }
end

-- `condition` and, if there is one, the user's own.
function options.both(condition, more)
  if more == nil then
    return condition
  end
  return condition & more
end

return options
