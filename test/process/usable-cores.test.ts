import { autoWorkers, usableCores } from '#src/process/usable-cores.ts';

function cores(parallelism: number, files: Readonly<Record<string, string>>): number {
  return usableCores({ parallelism, read: (path) => files[path] ?? null });
}

describe('usableCores()', () => {
  test('is what the scheduler allows where there is no limit', () => {
    expect(cores(8, {})).toBe(8);
    expect(cores(8, { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' })).toBe(8);
    expect(
      cores(8, {
        '/proc/self/cgroup': '5:cpuset:/\n1:cpu,cpuacct:/\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      }),
    ).toBe(8);
  });

  test('is the limit of cgroup v2, rounded down, not the cores of the host', () => {
    const limited = (quota: string) =>
      cores(64, { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': `${quota} 100000\n` });
    expect(limited('200000')).toBe(2);
    expect(limited('399999')).toBe(3);
    expect(limited('50000')).toBe(1);
  });

  test('is the tightest limit on the way from the root to the own group', () => {
    const files = {
      '/proc/self/cgroup': '0::/kubepods/pod1/container\n',
      '/sys/fs/cgroup/kubepods/cpu.max': '1600000 100000\n',
      '/sys/fs/cgroup/kubepods/pod1/cpu.max': '300000 100000\n',
      '/sys/fs/cgroup/kubepods/pod1/container/cpu.max': 'max 100000\n',
    };
    expect(cores(64, files)).toBe(3);
  });

  test('is the limit of cgroup v1', () => {
    const files = {
      '/proc/self/cgroup': '4:memory:/docker/x\n1:cpu,cpuacct:/docker/x\n0::/\n',
      '/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us': '250000\n',
      '/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us': '100000\n',
    };
    expect(cores(64, files)).toBe(2);
  });

  test('inside a container, where the path of the host is not there, is what the root says', () => {
    const files = {
      '/proc/self/cgroup': '1:cpu,cpuacct:/docker/x\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    };
    expect(cores(64, files)).toBe(2);
  });

  test('never exceeds the affinity mask, and is at least 1 whatever the files say', () => {
    expect(cores(2, { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '800000 100000\n' })).toBe(2);
    for (const text of ['', 'nonsense', '0 0', '-5 100000', '100000', '1e999 1'])
      expect(cores(2, { '/proc/self/cgroup': '0::/\nx\n::\n', '/sys/fs/cgroup/cpu.max': text })).toBeGreaterThanOrEqual(
        1,
      );
  });
});

test('autoWorkers() is one a core, and no more than the memory limit has room for', () => {
  const mib = 1024 * 1024;
  expect([0, 2 ** 63, 512 * mib, 300 * mib, 100 * mib].map((limit) => autoWorkers(8, limit))).toEqual([8, 8, 2, 1, 1]);
});
