import { Command } from 'commander';
import type { Session } from './terminal';

export function evalCommand(_session: Session): Command {
  return new Command('eval');
}
