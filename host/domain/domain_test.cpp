// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/domain/domain.hpp"

#include <gtest/gtest.h>

#include "base/failure.hpp"
#include "base/failure_testing.hpp"
#include "host/domain/domain_testing.hpp"

namespace ipidefer::domain {
namespace {

std::string with(const std::string& more, const std::string& attributes = "")
{
    return "<domain type='kvm' " + attributes +
           "><name>a</name><vcpu cpuset='0-7,^3'>4</vcpu>" + more + "</domain>";
}

TEST(Domain, PlainOneIsRead)
{
    const Domain domain = read_domain(test::kPlain);
    EXPECT_EQ(domain.name, "web1");
    EXPECT_EQ(domain.uuid, "4dea22b3-1d52-d8f3-2516-782e98ab3fa0");
    EXPECT_EQ(domain.type, "kvm");
    EXPECT_EQ(domain.vcpus, 4u);
    EXPECT_EQ(domain.emulator, "/usr/bin/qemu-system-x86_64");
    EXPECT_FALSE(domain.direct_kernel);
    EXPECT_TRUE(domain.objects.empty());
    EXPECT_EQ(domain.place_of_vcpu(2), std::nullopt);
    EXPECT_EQ(domain.segment_name(), "web1");
}

TEST(Domain, ObjectWithoutAValueIsRefused)
{
    const auto refused = [](const std::string& args) {
        return refusal_of([&] {
            return read_domain(
                with("<q:commandline>" + args + "</q:commandline>",
                     "xmlns:q='" + std::string{kQemuNamespace} + "'"));
        });
    };
    EXPECT_EQ(refused("<q:arg value='--object'/>"),
              "domain XML: its last argument of QEMU is '--object' without a "
              "value, which QEMU refuses");
    EXPECT_EQ(refused("<q:arg value='-object'/><q:arg value='-object'/>"), "");
}

TEST(Domain, PinsAreReadAndTheRestIsWhereTheVcpusAre)
{
    const Domain domain = read_domain(
        with("<iothreads>2</iothreads><cputune><vcpupin vcpu='2' cpuset='5'/>"
             "<iothreadpin iothread='1' cpuset='1'/></cputune>"));
    EXPECT_EQ(domain.place_of_vcpu(2), CpuSet{5});
    EXPECT_EQ(domain.place_of_vcpu(1), (CpuSet{0, 1, 2, 4, 5, 6, 7}));
    EXPECT_EQ(domain.place_of_emulator(), (CpuSet{0, 1, 2, 4, 5, 6, 7}));
    EXPECT_EQ(domain.place_of_iothread(1), CpuSet{1});
    EXPECT_EQ(domain.place_of_iothread(2), (CpuSet{0, 1, 2, 4, 5, 6, 7}));
}

TEST(Domain, IothreadsHaveTheIdsThatLibvirtGives)
{
    const auto ids = [](const std::string& xml) {
        return read_domain(with(xml)).iothreads;
    };
    using Ids = std::set<unsigned>;
    const std::string five_six =
        "<iothreadids><iothread id='5'/><iothread id='6'/></iothreadids>";
    EXPECT_EQ(ids(""), Ids{});
    EXPECT_EQ(ids("<iothreads>2</iothreads>"), (Ids{1, 2}));
    EXPECT_EQ(ids(five_six), (Ids{5, 6}));
    EXPECT_EQ(ids("<iothreads>2</iothreads>" + five_six), (Ids{5, 6}));
    EXPECT_EQ(ids("<iothreads>1</iothreads>" + five_six), (Ids{5, 6}));
    EXPECT_EQ(ids("<iothreads>4</iothreads>" + five_six), (Ids{1, 2, 5, 6}));
    EXPECT_EQ(ids("<iothreads>3</iothreads><iothreadids><iothread id='2'/>"
                  "</iothreadids>"),
              (Ids{1, 2, 3}));
}

TEST(Domain, ObjectIsFoundWhateverThePrefix)
{
    const std::string ns{kQemuNamespace};
    const std::string args =
        "arg value='-object'/><P:arg value='can-bus,id=x'/><P:arg "
        "value='-object'/><P:arg value='ipi-defer,id=d,segment-name=n'/>";
    auto body = [&](const std::string& prefix, const std::string& attributes) {
        std::string text =
            "<P:commandline " + attributes + "><P:" + args + "</P:commandline>";
        for (auto at = text.find("P:"); at != std::string::npos;
             at = text.find("P:"))
            text.replace(at, 1, prefix);
        return text;
    };
    for (const std::string& xml :
         {with(body("qemu", ""), "xmlns:qemu='" + ns + "'"),
          with(body("q", ""), "xmlns:q='" + ns + "'"),
          with(body("q", "xmlns:q='" + ns + "'"))}) {
        const Domain domain = read_domain(xml);
        ASSERT_EQ(domain.objects.size(), 1u) << xml;
        EXPECT_EQ(domain.objects[0].argument, 3u);
        EXPECT_EQ(domain.segment_name(), "n");
    }
    // Without a prefix, and in several elements.
    EXPECT_EQ(read_domain(with("<commandline xmlns='" + ns +
                               "'><arg value='-object'/></commandline>"
                               "<q:commandline xmlns:q='" +
                               ns +
                               "'><q:arg value='ipi-defer,id=d'/>"
                               "</q:commandline>"))
                  .objects.size(),
              1u);
    // The inner declaration counts.
    EXPECT_TRUE(read_domain(with(body("qemu", "xmlns:qemu='urn:x'"),
                                 "xmlns:qemu='" + ns + "'"))
                    .objects.empty());
    // Somebody else's.
    EXPECT_TRUE(read_domain(with(body("qemu", ""), "xmlns:qemu='urn:x'"))
                    .objects.empty());
}

TEST(Domain, NumberOfIothreadsHasALimitThatIsNamed)
{
    const auto refusal = [](const std::string& xml) {
        return refusal_of([&] { return read_domain(with(xml)); });
    };
    std::string ids;
    for (unsigned id = 1; id <= 513; ++id)
        ids += "<iothread id='" + std::to_string(100 * id) + "'/>";
    EXPECT_EQ(refusal("<iothreads>512</iothreads>"), "");
    EXPECT_EQ(refusal("<iothreads>50000</iothreads>"),
              "domain XML: it has 50000 iothreads, the most is 512");
    EXPECT_EQ(refusal("<iothreadids>" + ids + "</iothreadids>"),
              "domain XML: it has 513 iothreads, the most is 512");
}

TEST(Domain, WhatCannotBeOneIsRefused)
{
    for (const std::string& wrong :
         {std::string{"<network/>"}, std::string{"<domain/>"},
          std::string{"<domain><name>a</name></domain>"},
          std::string{"<domain><name>a</name><vcpu>0</vcpu></domain>"},
          std::string{"<domain><name>a</name><vcpu>x</vcpu></domain>"},
          std::string{"<domain><name>a</name><vcpu>70000</vcpu></domain>"},
          with("<cputune><vcpupin vcpu='x' cpuset='1'/></cputune>"),
          with("<cputune><vcpupin vcpu='1' cpuset='3-1'/></cputune>"),
          with("<cputune><emulatorpin/></cputune>"),
          with("<cputune><iothreadpin iothread='1' cpuset='1'/></cputune>"),
          with("<iothreads>1</iothreads><iothreadids><iothread id='7'/>"
               "</iothreadids><cputune><iothreadpin iothread='1' cpuset='1'/>"
               "</cputune>"),
          with("<iothreadids><iothread id='0'/></iothreadids>"),
          with("<iothreadids><iothread id='2'/><iothread id='2'/>"
               "</iothreadids>"),
          with("<cputune><vcpupin vcpu='1' cpuset='1'/><vcpupin vcpu='1' "
               "cpuset='2'/></cputune>"),
          with("", "xmlns='urn:x'")})
        EXPECT_THROW((void)read_domain(wrong), Failure) << wrong;
}

}  // namespace
}  // namespace ipidefer::domain
