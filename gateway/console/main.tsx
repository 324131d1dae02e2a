import './styles/base.css';
import './styles/chat.css';
import './styles/mesh.css';
import './styles/requests.css';
import { render } from 'preact';
import { App } from './app.tsx';

const root = document.getElementById('console');
if (root === null) throw new Error('the page has no element for the console');
render(<App />, root);
