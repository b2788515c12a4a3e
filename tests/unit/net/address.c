#include "net/address.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const char *judge(const char *text) {
    static struct sockaddr_storage addr;
    struct sockaddr_in *four = (struct sockaddr_in *)&addr;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&addr;
    char back[ADDRESS_TEXT_MAX];

    memset(&addr, 0, sizeof addr);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
        six->sin6_family = AF_INET6;
    }
    address_format((struct sockaddr *)&addr, back);
    assert_string_equal(back, text);
    return address_special((struct sockaddr *)&addr);
}

static void special_networks_are_named_up_to_their_edges(void **state) {
    static const char *const cases[][2] = {
        {"127.0.0.1", "loopback"}, {"127.255.255.255", "loopback"}, {"10.0.0.0", "private network"},
        {"10.255.255.255", "private network"}, {"172.16.0.0", "private network"},
        {"172.31.255.255", "private network"}, {"192.168.255.255", "private network"},
        {"169.254.0.1", "link-local"}, {"169.254.169.254", "cloud metadata"}, {"100.100.100.200", "cloud metadata"},
        {"100.64.0.0", "shared address space"}, {"100.127.255.255", "shared address space"},
        {"0.0.0.0", "unspecified"}, {"0.1.2.3", "unspecified"}, {"224.0.0.1", "multicast"},
        {"239.255.255.255", "multicast"}, {"240.0.0.1", "reserved"}, {"255.255.255.255", "reserved"},
        {"192.0.0.192", "reserved"}, {"198.19.255.255", "reserved"}, {"192.0.2.1", "reserved"},
        {"::1", "loopback"}, {"::", "unspecified"}, {"fc00::1", "private network"}, {"fdff::1", "private network"},
        {"fe80::1", "link-local"}, {"febf::1", "link-local"}, {"fec0::1", "private network"},
        {"ff02::1", "multicast"}, {"fd00:ec2::254", "cloud metadata"}, {"::ffff:127.0.0.1", "loopback"},
        {"::ffff:10.0.0.1", "private network"}, {"::ffff:169.254.169.254", "cloud metadata"},
        {"::ffff:0:7f00:1", "loopback"}, {"64:ff9b::a00:1", "private network"},
        {"64:ff9b::a9fe:a9fe", "cloud metadata"}, {"64:ff9b:1::808:808", "private network"},
        {"2002:a00:1::", "private network"}, {"2001:0:808:808::80ff:fffe", "loopback"},
        {"::127.0.0.1", "loopback"}, {"2001:db8::1", "reserved"}, {"100::1", "reserved"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *what = judge(cases[i][0]);

        if (!what || strcmp(what, cases[i][1]) != 0) {
            print_error("%s: expected %s, got %s\n", cases[i][0], cases[i][1], what ? what : "public");
            fail();
        }
    }
}

static void public_addresses_are_public(void **state) {
    static const char *const cases[] = {
        "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
        "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
        "223.255.255.255", "1.0.0.0", "2606:4700::1111", "2001:4860:4860::8888", "::ffff:8.8.8.8",
        "64:ff9b::808:808", "2002:808:808::", "2a00::1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *what = judge(cases[i]);

        if (what) {
            print_error("%s: %s\n", cases[i], what);
            fail();
        }
    }
}

static void other_families_are_not_for_us(void **state) {
    struct sockaddr addr = {.sa_family = AF_UNIX};
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    assert_string_equal(address_special(&addr), "reserved");
    address_format(&addr, text);
    assert_string_equal(text, "address family 1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_networks_are_named_up_to_their_edges),
        cmocka_unit_test(public_addresses_are_public),
        cmocka_unit_test(other_families_are_not_for_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
