// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/daemon/config.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/failure.hpp"
#include "base/failure_testing.hpp"
#include "base/file.hpp"
#include "base/scratch.hpp"

namespace ipidefer::daemon {
namespace {

std::string refusal(const std::string& text)
{
    return refusal_of([&] { return parse_config(text); });
}

TEST(Config, EmptyObjectIsTheDefaults)
{
    const Config config = parse_config("{}");
    EXPECT_TRUE(config.listen);
    EXPECT_EQ(config.listen_address, "127.0.0.1");
    EXPECT_EQ(config.place.directory, "");
    EXPECT_TRUE(config.control.empty());
    EXPECT_TRUE(config.control_users.contains(::geteuid()));
    EXPECT_TRUE(config.policy_of("any").empty());
}

TEST(Config, EveryKeyIsRead)
{
    const Config config = parse_config(R"({
        // comments are allowed
        "listen": "[::1]:9000", "control": "/run/c", "shm_dir": "/tmp/s",
        "audit_log": "/tmp/a", "control_users": [0, 107],
        "libvirt_uri": "qemu:///session",
        "domains": {"web": {"isolated": "2-3", "user": "on", "guest": "off",
            "idle": "on", "max_age": "10ms", "enabled": "off",
            "vectors": {"sync_core": "off"}}}})");
    EXPECT_EQ(config.listen_address, "::1");
    EXPECT_EQ(config.listen_port, 9000);
    EXPECT_EQ(config.control, "/run/c");
    EXPECT_EQ(config.place.directory, "/tmp/s");
    EXPECT_EQ(config.audit_log, "/tmp/a");
    EXPECT_EQ(config.control_users, (std::set<uid_t>{0, 107}));
    EXPECT_EQ(config.libvirt_uri, "qemu:///session");
    const terms::RawPolicy web = config.policy_of("web");
    EXPECT_EQ(web.isolated, "2-3");
    EXPECT_EQ(web.guest, "off");
    EXPECT_EQ(web.max_age, "10ms");
    EXPECT_TRUE(web.off);
    EXPECT_EQ(web.vectors, (std::vector<std::string>{"sync_core=off"}));
}

TEST(Config, PolicyOfADomainIsByUuidThenByName)
{
    const Config config = parse_config(
        R"({"domains": {"*": {"user": "off"}, "web": {"user": "on"},
            "u-1": {"idle": "on"}}})");
    const auto user = [&](const std::string& vm, const DomainIdentity& domain) {
        return config.policy_of(vm, domain).user;
    };
    EXPECT_EQ(user("vm", {"web", "u-2"}), "on");
    EXPECT_EQ(user("vm", {"web", "u-1"}), "");
    EXPECT_EQ(user("web", {"x", "u-1"}), "on");
    EXPECT_EQ(user("vm", {"x", "u-2"}), "off");
}

TEST(Config, PolicyIsTheVmsOwnElseThatOfAll)
{
    const Config config = parse_config(
        R"({"domains": {"*": {"user": "off"}, "web": {"idle": "on"}}})");
    EXPECT_EQ(config.policy_of("web").idle, "on");
    EXPECT_EQ(config.policy_of("web").user, "");
    EXPECT_EQ(config.policy_of("db").user, "off");
}

TEST(Config, WithoutAnAddressThereIsNoHttp)
{
    EXPECT_FALSE(parse_config(R"({"listen": ""})").listen);
}

TEST(Config, DepthHasALimitThatIsNamed)
{
    const std::string deep =
        std::string(80'000, '[') + std::string(80'000, ']');
    EXPECT_EQ(refusal("{\"owners\": " + deep + '}'),
              "configuration: JSON: it is nested 80001 deep, the most is 64");
    EXPECT_THROW((void)parse_policy(deep), Failure);
}

TEST(Config, WhatIsWrongIsNamed)
{
    EXPECT_TRUE(refusal("{").starts_with(
        "configuration: not JSON: parse error at line 1, column 2"));
    EXPECT_EQ(refusal("[]"), "configuration: [] is not an object");
    EXPECT_EQ(refusal(R"({"listn": ""})"),
              "configuration: listn: there is no such key");
    EXPECT_EQ(refusal(R"({"listen": "9752"})"),
              "configuration: listen: '9752' is not ADDRESS:PORT");
    EXPECT_EQ(refusal(R"({"listen": 9752})"),
              "configuration: listen: 9752 is not a string");
    EXPECT_EQ(refusal(R"({"control_users": [0, -1]})"),
              "configuration: control_users: -1 is not a user, by name or "
              "number");
    EXPECT_EQ(refusal(R"({"control_users": ["no.such.user"]})"),
              "configuration: control_users: 'no.such.user' is neither a user "
              "nor the number of one");
    EXPECT_EQ(refusal(R"({"owners": "root"})"),
              "configuration: owners: \"root\" is not an array");
    EXPECT_EQ(refusal(R"({"max_samples": -1})"),
              "configuration: max_samples: -1 is not a number from 0 to "
              "10000000");
    EXPECT_EQ(refusal(R"({"domains": [)" + std::string(100, ' ') + "\"" +
                      std::string(100, 'x') + "\"]}"),
              "configuration: domains: [\"" + std::string(58, 'x') +
                  "... is not an object");
}

TEST(Config, WhatIsWrongWithAPolicyIsNamedWithItsPath)
{
    const auto refused = [](const std::string& policy) {
        return refusal(R"({"domains": {"w": )" + policy + "}}");
    };
    EXPECT_EQ(refused(R"({"user": "yes"})"),
              "configuration: domains.w.user: 'yes' is neither on nor off");
    EXPECT_EQ(refused(R"({"enabled": "yes"})"),
              "configuration: domains.w.enabled: 'yes' is neither on nor off");
    EXPECT_EQ(refused(R"({"isolate": "1"})"),
              "configuration: domains.w.isolate: there is no such key");
    EXPECT_EQ(refused(R"({"max_age": "10"})"),
              "configuration: domains.w.max_age: duration '10': it lacks a "
              "unit: ns, us, ms, s, m or h");
    EXPECT_EQ(refused(R"({"vectors": {"sync_core": 1}})"),
              "configuration: domains.w.vectors.sync_core: 1 is not a string");
    EXPECT_EQ(refused("5"), "configuration: domains.w: 5 is not an object");
    EXPECT_EQ(refusal_of([] { return parse_policy("5"); }),
              "policy: 5 is not an object");
}

TEST(Config, UnreadableFileIsNamed)
{
    EXPECT_EQ(refusal_of([] { return read_config("/nonexistent/x"); }),
              "cannot read '/nonexistent/x': No such file or directory");
}

TEST(Config, FileThatIsWrongIsNamed)
{
    const Scratch scratch;
    const std::string file = (scratch.path() / "x.json").string();
    write_whole(file, R"({"listen": 5})");
    EXPECT_EQ(refusal_of([&] { return read_config(file); }),
              "configuration '" + file + "': listen: 5 is not a string");
}

}  // namespace
}  // namespace ipidefer::daemon
