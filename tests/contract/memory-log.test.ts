import { MemoryLog } from '../support/memory-log.ts';
import { describeTopicLog } from './topic-log.ts';

describeTopicLog(
  'the log in memory',
  async () => {
    const handles = [new MemoryLog()];
    const open = (): MemoryLog => {
      const [first] = handles;
      const handle = first ? first.another() : new MemoryLog();
      handles.push(handle);
      return handle;
    };
    const closeAll = async (): Promise<void> => {
      for (const handle of handles) await handle.close();
    };
    return {
      log: open(),
      address: [],
      another: async () => open(),
      reopen: async () => {
        await closeAll();
        return open();
      },
      close: closeAll,
    };
  },
  { exactRetention: true, denseOffsets: true, manyProcesses: false },
);
