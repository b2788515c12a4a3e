/* Any bytes as a response code: what is valid has its value, what is not has none, and COPYUID pairs add up. */
#include "imap/parser.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool so) {
    if (!so) {
        abort();
    }
}

static void check_ranges(imap_ranges ranges, size_t least) {
    insist(ranges.count >= least && ranges.count <= LIMIT_IMAP_SET_RANGES);
    for (size_t i = 0; i < ranges.count; i++) {
        insist(ranges.at[i].low > 0 && ranges.at[i].low <= ranges.at[i].high);
    }
}

/* Where it maps, the first and the last of the source's ranges have a target among those that were named. */
static void check_copyuid(const imap_code *code) {
    const imap_ranges source = code->uids.source, target = code->uids.target;

    if (!imap_copyuid_maps(code)) {
        insist(imap_copyuid_target(code, 1) == 0);
        return;
    }
    insist(imap_ranges_size(source) == imap_ranges_size(target));
    for (size_t i = 0; i < source.count && i < 20; i++) {
        insist(imap_ranges_contain(target, imap_copyuid_target(code, source.at[i].low)));
        insist(imap_ranges_contain(target, imap_copyuid_target(code, source.at[i].high)));
    }
}

static void check(const imap_code *code) {
    switch (code->name) {
    case IMAP_CODE_UIDNEXT:
    case IMAP_CODE_UIDVALIDITY:
    case IMAP_CODE_UNSEEN:
    case IMAP_CODE_MESSAGELIMIT:
        insist(code->valid ? code->number > 0 && code->number <= UINT32_MAX : code->number == 0);
        break;
    case IMAP_CODE_HIGHESTMODSEQ:
        insist(code->valid ? code->number > 0 && code->number <= INT64_MAX : code->number == 0);
        break;
    case IMAP_CODE_APPENDUID:
        insist((code->uids.validity > 0) == code->valid);
        check_ranges(code->uids.target, code->valid);
        break;
    case IMAP_CODE_COPYUID:
        insist((code->uids.validity > 0) == code->valid);
        check_ranges(code->uids.source, code->valid);
        check_ranges(code->uids.target, code->valid);
        check_copyuid(code);
        break;
    case IMAP_CODE_MODIFIED:
        check_ranges(code->set, code->valid);
        break;
    case IMAP_CODE_PERMANENTFLAGS:
        insist(code->valid || code->flags.all.count == 0);
        break;
    case IMAP_CODE_NONE:
    case IMAP_CODE_OTHER:
    default:
        insist(code->valid || code->name != IMAP_CODE_OTHER);
        break;
    }
}

/* "x OK [" + the bytes: a code is the only thing of a tagged line that is looked into. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct limits limits = LIMITS_DEFAULT;
    imap_parser *parser = imap_parser_new(&limits);
    const imap_response *response;
    error *err = NULL;

    imap_parser_feed(parser, "x OK [", 6);
    imap_parser_feed(parser, (const char *)data, size);
    imap_parser_feed(parser, "\r\n", 2);
    if (imap_parser_next(parser, &response, &err) == IMAP_HAVE) {
        insist(response->kind == IMAP_TAGGED && response->condition == IMAP_OK);
        check(&response->code);
    }
    error_free(err);
    imap_parser_free(parser);
    return 0;
}
