#include "net/crypto.h"

#include "net/backoff.h"
#include "net/signature.h"
#include "tests/unit/unit.h"

#include <string.h>

#define MINUTE 60000ull

static void digests_match_the_published_vectors(void **state) {
    uint8_t digest[CRYPTO_SHA256_LEN];

    (void)state;
    crypto_sha256("abc", 3, digest); /* FIPS 180-2, B.1 */
    g_autofree char *abc = crypto_hex(digest, sizeof digest);
    assert_string_equal(abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256("", 0, digest);
    g_autofree char *empty = crypto_hex(digest, sizeof digest);
    assert_string_equal(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void assert_hmac(const void *key, size_t key_len, const char *text, const char *expected) {
    size_t half = strlen(text) / 2;
    struct iovec pieces[2] = {{.iov_base = (void *)(uintptr_t)text, .iov_len = half},
                              {.iov_base = (void *)(uintptr_t)(text + half), .iov_len = strlen(text) - half}};
    uint8_t mac[CRYPTO_SHA256_LEN];

    crypto_hmac_sha256(key, key_len, pieces, 2, mac);
    g_autofree char *hex = crypto_hex(mac, sizeof mac);
    assert_string_equal(hex, expected);
}

static void hmac_matches_rfc_4231(void **state) {
    uint8_t ones[20], aa[131];

    (void)state;
    memset(ones, 0x0b, sizeof ones);
    memset(aa, 0xaa, sizeof aa);
    assert_hmac(ones, sizeof ones, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_hmac("Jefe", 4, "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_hmac(aa, sizeof aa, "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void base64_goes_both_ways_and_is_strict(void **state) {
    static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}, {"\xfb\xef", "++8="}};
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Zm9v\n", "Zm 9", "Zm-_", "Zg==Zg=="};
    size_t len;

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree char *text = crypto_base64(pairs[i][0], strlen(pairs[i][0]));
        g_autofree uint8_t *bytes = crypto_base64_decode(pairs[i][1], &len);

        assert_string_equal(text, pairs[i][1]);
        assert_non_null(bytes);
        assert_int_equal(len, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], len);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        if (crypto_base64_decode(bad[i], &len)) {
            print_error("accepted %s\n", bad[i]);
            fail();
        }
    }
}

static void random_numbers_stay_between_their_bounds_and_reach_both(void **state) {
    random_source random;
    bool seen[6] = {false};

    (void)state;
    random_init_seeded(&random, 1);
    for (int i = 0; i < 1000; i++) {
        uint64_t n = random_between(&random, 10, 15);

        assert_in_range(n, 10, 15);
        seen[n - 10] = true;
    }
    for (int i = 0; i < 6; i++) {
        assert_true(seen[i]);
    }
    assert_int_equal(random_between(&random, 7, 7), 7);
    random_init_real(&random);
    assert_true(random_between(&random, 0, UINT64_MAX) != random_between(&random, 0, UINT64_MAX));
}

/* --- signatures ------------------------------------------------------------------------------------------------- */

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define STAMP 1614265330
#define BODY "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static signature_key key_of(const char *text) {
    signature_key key;
    error *err = signature_key_parse(text, strlen(text), &key);

    if (err) {
        print_error("%s\n", err->text);
    }
    assert_null(err);
    return key;
}

static void fault_69_a_signature_equals_the_published_vector(void **state) {
    signature_key keys[2] = {key_of(SECRET), key_of(&SECRET[6])};

    (void)state;
    g_autofree char *prefixed = signature_sign(&keys[0], 1, ID, STAMP, BODY, strlen(BODY));
    g_autofree char *bare = signature_sign(&keys[1], 1, ID, STAMP, BODY, strlen(BODY));
    assert_string_equal(prefixed, SIGNATURE);
    assert_string_equal(bare, SIGNATURE);
}

static void fault_69_two_secrets_give_two_signatures(void **state) {
    signature_key keys[2] = {key_of("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), key_of(SECRET)};

    (void)state;
    g_autofree char *header = signature_sign(keys, 2, ID, STAMP, BODY, strlen(BODY));
    assert_true(g_str_has_prefix(header, "v1,"));
    assert_true(g_str_has_suffix(header, " " SIGNATURE));
    assert_true(signature_verify(&keys[0], 1, header, ID, STAMP, STAMP, BODY, strlen(BODY)));
    assert_true(signature_verify(&keys[1], 1, header, ID, STAMP, STAMP, BODY, strlen(BODY)));
}

static void fault_69_what_was_changed_does_not_verify(void **state) {
    signature_key key = key_of(SECRET);
    static const char *const bad[] = {"", "v1", "v1,", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                                      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", "v1,dGVzdA==",
                                      "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="};

    (void)state;
    assert_true(signature_verify(&key, 1, SIGNATURE, ID, STAMP, STAMP, BODY, strlen(BODY)));
    assert_true(signature_verify(&key, 1, "v1,Zm9v " SIGNATURE " v1a,Zm9v", ID, STAMP, STAMP, BODY, strlen(BODY)));
    assert_true(signature_verify(&key, 1, SIGNATURE, ID, STAMP, STAMP + 300, BODY, strlen(BODY)));
    assert_false(signature_verify(&key, 1, SIGNATURE, ID, STAMP, STAMP + 301, BODY, strlen(BODY)));
    assert_false(signature_verify(&key, 1, SIGNATURE, ID, STAMP, STAMP - 301, BODY, strlen(BODY)));
    assert_false(signature_verify(&key, 1, SIGNATURE, ID, STAMP + 1, STAMP, BODY, strlen(BODY)));
    assert_false(signature_verify(&key, 1, SIGNATURE, "msg_other", STAMP, STAMP, BODY, strlen(BODY)));
    assert_false(signature_verify(&key, 1, SIGNATURE, ID, STAMP, STAMP, BODY " ", strlen(BODY) + 1));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_false(signature_verify(&key, 1, bad[i], ID, STAMP, STAMP, BODY, strlen(BODY)));
    }
}

static void a_malformed_secret_is_refused_and_not_shown(void **state) {
    static const char *const bad[] = {"", "whsec_", "whsec_hunter2!", "hunter2", "aHVudGVyMg==", "whsk_aHVudGVyMg==",
                                      "whpk_aHVudGVyMg==", "whsec_aHVudGVyMg"};
    signature_key key;

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(error) err = signature_key_parse(bad[i], strlen(bad[i]), &key);

        assert_non_null(err);
        assert_int_equal(err->code, ERROR_CONFIG);
        assert_null(strstr(err->text, "hunter2"));
        assert_null(strstr(err->text, "aHVu"));
        assert_int_equal(key.len, 0);
    }
    g_autoptr(error) nul = signature_key_parse(SECRET "\0x", strlen(SECRET) + 2, &key);
    assert_non_null(nul);
}

/* --- backoff ---------------------------------------------------------------------------------------------------- */

static uint64_t always_low(random_source *self) {
    (void)self;
    return 0;
}

static uint64_t longest(uint64_t (*next)(backoff *), backoff *b) {
    uint64_t most = 0;

    for (int i = 0; i < 2000; i++) {
        uint64_t wait = next(b);

        most = MAX(most, wait);
    }
    return most;
}

static uint64_t next_network(backoff *b) {
    return backoff_next(b, BACKOFF_NETWORK, 0);
}

static uint64_t next_auth(backoff *b) {
    return backoff_next(b, BACKOFF_AUTH, 0);
}

static void waits_grow_from_the_first_to_the_most_of_their_class(void **state) {
    random_source random;
    backoff b;

    (void)state;
    random_init_seeded(&random, 3);
    backoff_init(&b, &random);
    for (int i = 1; i <= 8; i++) {
        assert_in_range(backoff_next(&b, BACKOFF_NETWORK, 0), 1000, 1000u << i);
    }
    uint64_t most = longest(next_network, &b);
    assert_in_range(most, 290000, 300000);
    backoff_init(&b, &random);
    for (int i = 1; i <= 8; i++) {
        assert_in_range(backoff_next(&b, BACKOFF_AUTH, 0), MINUTE, MINUTE << i);
    }
    most = longest(next_auth, &b);
    assert_in_range(most, 350 * MINUTE, 360 * MINUTE);
}

static void jitter_spreads_those_who_failed_together(void **state) {
    random_source random;
    uint64_t low = UINT64_MAX, high = 0;

    (void)state;
    random_init_seeded(&random, 5);
    for (int i = 0; i < 1000; i++) {
        backoff b;
        uint64_t wait = 0;

        backoff_init(&b, &random);
        for (int j = 0; j < 6; j++) {
            wait = backoff_next(&b, BACKOFF_NETWORK, 0);
        }
        low = MIN(low, wait);
        high = MAX(high, wait);
    }
    assert_true(low < 3000);
    assert_true(high > 60000);
}

static void fault_08_only_health_makes_it_short_again(void **state) {
    random_source random = {.next = always_low};
    backoff b;

    (void)state;
    backoff_init(&b, &random);
    for (uint32_t i = 1; i <= 50; i++) {
        backoff_next(&b, BACKOFF_NETWORK, 0);
        assert_int_equal(backoff_failures(&b), i);
    }
    backoff_healthy(&b);
    assert_int_equal(backoff_failures(&b), 0);
}

static void fault_12_a_servers_hint_is_honoured_and_capped(void **state) {
    random_source random = {.next = always_low};
    backoff b;

    (void)state;
    backoff_init(&b, &random);
    assert_int_equal(backoff_next(&b, BACKOFF_BUSY, 299961), 299961);
    assert_int_equal(backoff_next(&b, BACKOFF_BUSY, 99999999999), 30 * MINUTE);
    assert_int_equal(backoff_next(&b, BACKOFF_BUSY, 5), 30000);
}

static void an_error_tells_its_class(void **state) {
    g_autoptr(error) auth = error_new(ERROR_AUTH, "x");
    g_autoptr(error) busy = error_new(ERROR_BUSY, "x");
    g_autoptr(error) tls = error_new(ERROR_TLS, "x");
    g_autoptr(error) protocol = error_new(ERROR_PROTOCOL, "x");

    (void)state;
    assert_int_equal(backoff_class_of(auth), BACKOFF_AUTH);
    assert_int_equal(backoff_class_of(busy), BACKOFF_BUSY);
    assert_int_equal(backoff_class_of(tls), BACKOFF_TLS);
    assert_int_equal(backoff_class_of(protocol), BACKOFF_NETWORK);
    assert_int_equal(backoff_class_of(NULL), BACKOFF_NETWORK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_match_the_published_vectors),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(base64_goes_both_ways_and_is_strict),
        cmocka_unit_test(random_numbers_stay_between_their_bounds_and_reach_both),
        cmocka_unit_test(fault_69_a_signature_equals_the_published_vector),
        cmocka_unit_test(fault_69_two_secrets_give_two_signatures),
        cmocka_unit_test(fault_69_what_was_changed_does_not_verify),
        cmocka_unit_test(a_malformed_secret_is_refused_and_not_shown),
        cmocka_unit_test(waits_grow_from_the_first_to_the_most_of_their_class),
        cmocka_unit_test(jitter_spreads_those_who_failed_together),
        cmocka_unit_test(fault_08_only_health_makes_it_short_again),
        cmocka_unit_test(fault_12_a_servers_hint_is_honoured_and_capped),
        cmocka_unit_test(an_error_tells_its_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
