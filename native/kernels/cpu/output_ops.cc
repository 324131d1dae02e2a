#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/group/device_group.h"
#include "kernels/sampling/sampler.h"

namespace autoglm::cpu {
namespace {

void SampleRow(CpuContext& cpu, const SampleOp& op, int64_t row) {
  const size_t i = static_cast<size_t>(row);
  const TokenChoice& choice = op.choices[i];
  Status& status = op.chosen[i].status;
  status = choice.sample.has_value() ? CheckSampleParams(*choice.sample, op.logits.columns)
                                     : Status();
  if (!status.ok()) return;
  const MatrixView logits = op.logits.Rows(row, 1);
  status = Sampler(cpu.kernels().logits)
               .Run({logits.data, static_cast<size_t>(logits.columns)}, choice,
                    cpu.sample_candidates[i], op.chosen[i]);
}

void Sample(OpsContext& context, const SampleOp& op) {
  const size_t num_rows = static_cast<size_t>(op.logits.rows);
  CHECK(op.logits.stride == op.logits.columns);
  CHECK(op.choices.size() == num_rows && op.chosen.size() == num_rows);
  CpuContext& cpu = Cpu(context);
  if (cpu.sample_candidates.size() < num_rows) cpu.sample_candidates.resize(num_rows);
  cpu.threads().ParallelFor(op.logits.rows, [&](int64_t row) { SampleRow(cpu, op, row); });
}

Result<GroupPath> JoinGroup(OpsContext& context, const GroupRank& place) {
  context.group_rank = &place;
  return GroupPath{.in_words = "shared memory"};
}

// An operation of a CPU has ended when it returns.
void Finish(OpsContext&) {}

void AllReduce(OpsContext& context, const AllReduceOp& op) {
  if (context.group_rank == nullptr) return;
  CHECK(op.x.stride == op.x.columns);
  const auto& [group, rank] = *context.group_rank;
  group->Sum(rank, {op.x.data, static_cast<size_t>(op.x.rows * op.x.columns)}, context.threads());
}

void AllGather(OpsContext& context, const AllGatherOp& op) {
  CHECK(context.group_rank != nullptr);
  const auto& [group, rank] = *context.group_rank;
  group->Gather(rank, op.part, op.whole, context.threads());
}

}  // namespace

void SetOutputOps(Ops& ops) {
  ops.sample = Sample;
  ops.join_group = JoinGroup;
  ops.finish = Finish;
  ops.all_reduce = AllReduce;
  ops.all_gather = AllGather;
}

}  // namespace autoglm::cpu
