/* RFC 9051's date-time and date, without the C library's locale and time zone. */
#include "lexer_priv.h"

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Days since 1970-01-01 in the Gregorian calendar; year >= 1. Years begin in March here, so a leap day ends one. */
static int64_t days_from_civil(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = year / 400, of_era = year % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool digits(const char *p, size_t n, int64_t min, int64_t max, int64_t *out) {
    uint64_t value;

    if (!number_parse((imap_str){p, n}, (uint64_t)min, (uint64_t)max, &value)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

static int month_of(const char *p) {
    for (int i = 0; i < 12; i++) {
        if (g_ascii_strncasecmp(p, months[i], 3) == 0) {
            return i + 1;
        }
    }
    return 0;
}

bool date_parse(imap_str text, int64_t *seconds_out) {
    int64_t day, year, hour, minute, second, zone_h, zone_m, offset;
    const char *p = text.data;
    size_t n = text.len;
    int month;

    while (n && *p == ' ') { /* date-day-fixed: " 1" */
        p++;
        n--;
    }
    if (n == 25 && p[1] == '-') { /* "1-Jul-1996 ...": one digit, though it should be two */
        if (!digits(p, 1, 1, 9, &day)) {
            return false;
        }
        p += 2;
    } else if (n == 26 && p[2] == '-' && digits(p, 2, 1, 31, &day)) {
        p += 3;
    } else {
        return false;
    }
    month = month_of(p);
    if (!month || p[3] != '-' || !digits(p + 4, 4, 1, 9999, &year) || p[8] != ' ' || !digits(p + 9, 2, 0, 23, &hour) ||
        p[11] != ':' || !digits(p + 12, 2, 0, 59, &minute) || p[14] != ':' || !digits(p + 15, 2, 0, 60, &second) ||
        p[17] != ' ' || (p[18] != '+' && p[18] != '-') || !digits(p + 19, 2, 0, 23, &zone_h) ||
        !digits(p + 21, 2, 0, 59, &zone_m)) {
        return false;
    }
    offset = (zone_h * 60 + zone_m) * 60;
    *seconds_out = days_from_civil(year, month, (int)day) * 86400 + hour * 3600 + minute * 60 + second -
                   (p[18] == '-' ? -offset : offset);
    return true;
}

struct civil {
    int year, month, day, hour, minute, second;
};

static struct civil civil_from(int64_t seconds) {
    const int64_t least = -62135596800, most = 253402300799; /* years 1 to 9999 */
    struct civil out;

    seconds = CLAMP(seconds, least, most);
    int64_t days = (seconds - least) / 86400 + 306; /* since 0000-03-01 */
    int64_t rest = (seconds - least) % 86400;
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    int64_t shifted = (5 * of_year + 2) / 153;

    out.day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    out.month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    out.year = (int)(years + era * 400 + (out.month <= 2));
    out.hour = (int)(rest / 3600);
    out.minute = (int)(rest / 60 % 60);
    out.second = (int)(rest % 60);
    return out;
}

void date_format(int64_t seconds, char out[32]) {
    struct civil c = civil_from(seconds);

    g_snprintf(out, 32, "%2d-%s-%04d %02d:%02d:%02d +0000", c.day, months[c.month - 1], c.year, c.hour, c.minute,
               c.second);
}

void date_format_day(int64_t seconds, char out[32]) {
    struct civil c = civil_from(seconds);

    g_snprintf(out, 32, "%d-%s-%04d", c.day, months[c.month - 1], c.year);
}
