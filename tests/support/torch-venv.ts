import { packagesFolder, venvPython } from './python-venv.ts';

/**
 * PyPI's wheel for Linux is linked against CUDA's libraries and does not load without them, whether or not there is a
 * GPU; so pip fetches those too: 3 GB to download, 5.5 GB on disk.
 */
const TORCH = ['torch==2.15.0', 'numpy==2.4.6', 'safetensors==0.8.0'];
const TRANSFORMERS = 'transformers==5.23.0';

/** The Python of a virtual environment with PyTorch, which is made in the user's cache when it is not there yet. */
export function torchPython(say: (text: string) => void): Promise<string> {
  return venvPython('torch-2.15.0', TORCH, say);
}

/** Where transformers lies, for PYTHONPATH beside the environment above. */
export async function transformersPath(say: (text: string) => void): Promise<string> {
  return packagesFolder(TRANSFORMERS.replace('==', '-'), await torchPython(say), [TRANSFORMERS], say);
}
